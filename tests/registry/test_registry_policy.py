"""The rules of review hold for any facts, and say what is wrong in sentences."""

import datetime as dt
import os
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry import Action, Stage, Validation
from registry.ledger import Line
from registry.policy import Act, Facts, enough, refusals
from registry.rules import Rules
from registry.standing import Standing

EXAMPLES = 20_000 if os.environ.get("GREENROOM_EXHAUSTIVE") else 200
NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
RULES = Rules()

people = st.sampled_from(["ann", "bob", "eve"])
digests = st.sampled_from(["d1", "d1", "d2"])


def line(action: Action, by: str, digest: str | None = "d1", days_ago: float = 0, **evidence: object) -> Line:
    return Line.following(
        None,
        at=(NOW - dt.timedelta(days=days_ago)).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        by=by,
        action=action,
        model="tiny",
        version=2,
        from_stage=Stage.NONE,
        to_stage=Stage.NONE,
        reason="why",
        digest=digest,
        evidence=evidence,
        attempt="a",
    )


def verdict(by: str, *, passed: bool, digest: str, days_ago: float) -> Line:
    found = Validation(passed, digest, "run", {"auc": 0.7}, ("auc is 0.5; expected at least 0.62",))
    return line(Action.VALIDATED, by, digest, days_ago, validation=found.to_plain())


standings = st.builds(
    Standing,
    author=st.none() | people,
    digest=st.none() | digests,
    artifact=st.none() | st.sampled_from([{"format": "xgboost"}, {"format": "pyfunc"}]),
    verdict=st.none()
    | st.builds(
        verdict, people, passed=st.booleans(), digest=digests, days_ago=st.sampled_from([0, 29.9, 30.1])
    ),
    request=st.none() | st.builds(line, st.just(Action.REQUESTED), people, digests),
    approvals=st.lists(st.builds(line, st.just(Action.APPROVED), people), max_size=2).map(tuple),
    was_in_production=st.booleans(),
)
anything = st.builds(
    Facts,
    version=st.integers(1, 3),
    stage=st.sampled_from(Stage),
    actor=people,
    may_review=st.booleans(),
    reason=st.sampled_from(["because", "because", "", " \t\n", "x" * 1001]),
    standing=standings,
    now=st.just(NOW),
    obstacle=st.none() | st.just("Its artifact is gone."),
    signature_breaks=st.sampled_from([(), ("The column 'a' is needed, and clients do not send it yet.",)]),
    accepts_signature_change=st.booleans(),
)
all_rules = st.builds(
    Rules,
    approvals=st.integers(1, 3),
    by_another_than_author=st.booleans(),
    artifact_formats=st.sampled_from([("xgboost",), ("xgboost", "pyfunc")]),
)
for_any_facts = settings(max_examples=EXAMPLES)

READY = Facts(
    version=2,
    stage=Stage.STAGING,
    actor="bob",
    may_review=True,
    reason="because",
    standing=Standing(
        author="ann",
        digest="d1",
        artifact={"format": "xgboost"},
        verdict=verdict("ann", passed=True, digest="d1", days_ago=1),
        request=line(Action.REQUESTED, "ann"),
    ),
    now=NOW,
)


def sound(facts: Facts, rules: Rules) -> bool:
    """Whether the artifact may go on stage at all: validated, fresh, whole, of an allowed format."""
    s = facts.standing
    v = s.validation
    return (
        s.digest is not None
        and facts.obstacle is None
        and (s.artifact or {}).get("format", "xgboost") in rules.artifact_formats
        and v is not None
        and s.verdict is not None
        and v.passed
        and v.digest == s.digest
        and facts.now - dt.datetime.fromisoformat(s.verdict.at) <= dt.timedelta(days=rules.max_age_days)
        and not (rules.by_another_than_author and s.verdict.by == s.author)
    )


@for_any_facts
@given(facts=anything, rules=all_rules)
def test_an_approval_takes_four_eyes_on_this_very_artifact(facts: Facts, rules: Rules) -> None:
    if refusals(Act.APPROVE, facts, rules):
        return
    s = facts.standing
    assert facts.may_review
    assert facts.stage is Stage.STAGING
    assert s.request is not None
    assert s.request.digest == s.digest
    assert s.author is not None
    assert facts.actor not in {s.author, s.request.by, *(a.by for a in s.approvals)}
    assert sound(facts, rules)
    assert facts.accepts_signature_change or not facts.signature_breaks


@for_any_facts
@given(facts=anything, rules=all_rules)
def test_staging_takes_a_sound_artifact(facts: Facts, rules: Rules) -> None:
    if not refusals(Act.REQUEST, facts, rules):
        assert sound(facts, rules)
        assert facts.stage is not Stage.PRODUCTION


@for_any_facts
@given(facts=anything, rules=all_rules)
def test_a_rollback_goes_where_production_was_by_a_reviewer(facts: Facts, rules: Rules) -> None:
    if not refusals(Act.ROLLBACK, facts, rules):
        assert facts.may_review
        assert facts.standing.was_in_production
        assert facts.stage is not Stage.PRODUCTION
        assert facts.obstacle is None
        assert facts.standing.digest is not None


@for_any_facts
@given(facts=anything, rules=all_rules)
def test_only_reviewers_touch_production(facts: Facts, rules: Rules) -> None:
    if facts.stage is Stage.PRODUCTION:
        allowed = [act for act in Act if not refusals(act, facts, rules)]
        assert allowed in ([], [Act.ARCHIVE])
        assert facts.may_review or not allowed


@for_any_facts
@given(facts=anything, rules=all_rules)
def test_what_is_on_stage_is_not_deleted(facts: Facts, rules: Rules) -> None:
    if not refusals(Act.DELETE, facts, rules):
        assert facts.stage in (Stage.NONE, Stage.ARCHIVED)


@for_any_facts
@given(facts=anything, rules=all_rules, act=st.sampled_from(Act))
def test_refusals_are_sentences_and_none_is_said_twice(facts: Facts, rules: Rules, act: Act) -> None:
    said = refusals(act, facts, rules)
    assert len(set(said)) == len(said)
    assert all(sentence[0].isupper() or sentence[0].islower() for sentence in said)
    assert all(sentence.endswith((".", ").")) for sentence in said)
    if not facts.reason.strip() or len(facts.reason) > 1000:
        assert "reason" in said[0]


def test_what_is_ready_is_allowed() -> None:
    assert refusals(Act.APPROVE, READY, RULES) == ()
    for act in (Act.REJECT, Act.WITHDRAW, Act.ARCHIVE):
        assert refusals(act, READY, RULES) == ()
    again = replace(READY.standing, request=None, was_in_production=True)
    archived = replace(READY, stage=Stage.ARCHIVED, standing=again)
    for act in (Act.REQUEST, Act.ROLLBACK, Act.DELETE):
        assert refusals(act, archived, RULES) == ()


def test_as_many_reviewers_as_the_rules_say() -> None:
    two = Rules(approvals=2)
    assert enough(READY, RULES)
    assert not enough(READY, two)
    once = replace(READY, standing=replace(READY.standing, approvals=(line(Action.APPROVED, "eve"),)))
    assert enough(once, two)
    assert refusals(Act.APPROVE, replace(once, actor="eve"), two) == (
        "eve approved it already; 2 different reviewers are needed.",
    )


def changed(**standing: object) -> Facts:
    return replace(READY, standing=replace(READY.standing, **standing))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("act", "facts", "said"),
    [
        (
            Act.APPROVE,
            replace(READY, may_review=False),
            "bob may not approve: that takes the MLflow role 'reviewer', which an admin assigns.",
        ),
        (
            Act.APPROVE,
            replace(READY, actor="ann"),
            "ann is the author of version 2; another person must approve.",
        ),
        (
            Act.APPROVE,
            changed(request=line(Action.REQUESTED, "bob")),
            "bob asked for it; another person must approve.",
        ),
        (
            Act.APPROVE,
            changed(request=line(Action.REQUESTED, "ann", "d0")),
            "The request is for another artifact than the one registered now.",
        ),
        (
            Act.APPROVE,
            changed(author=None),
            "The author of the version is not known, so nobody can be told apart.",
        ),
        (
            Act.APPROVE,
            replace(READY, stage=Stage.NONE),
            "Version 2 is in None; only what waits in Staging is approved.",
        ),
        (
            Act.REQUEST,
            replace(
                changed(request=None, verdict=verdict("ann", passed=True, digest="d0", days_ago=0)),
                stage=Stage.NONE,
            ),
            "The validation is of another artifact than the one registered now; validate again.",
        ),
        (
            Act.REQUEST,
            replace(
                changed(request=None, verdict=verdict("ann", passed=True, digest="d1", days_ago=31)),
                stage=Stage.NONE,
            ),
            (
                "Its validation is 31 days old, expected at most 30; run: mlflow run . --env-manager local -e"
                " validate -P version=2."
            ),
        ),
        (
            Act.REQUEST,
            replace(changed(request=None, artifact={"format": "pyfunc"}), stage=Stage.NONE),
            "The artifact's format is 'pyfunc', and only xgboost may go on stage (policy.yaml).",
        ),
        (
            Act.REQUEST,
            replace(changed(request=None), stage=Stage.NONE, obstacle="Its artifact is gone."),
            "Its artifact is gone.",
        ),
        (
            Act.WITHDRAW,
            replace(READY, actor="eve", may_review=False),
            "Only who asked (ann), the author (ann) or a reviewer (role 'reviewer') may withdraw it.",
        ),
        (
            Act.ARCHIVE,
            replace(changed(request=None), stage=Stage.PRODUCTION, may_review=False),
            (
                "bob may not take a version off Production: that takes the MLflow role 'reviewer',"
                " which an admin assigns."
            ),
        ),
        (
            Act.DELETE,
            READY,
            "Version 2 is in Staging; what is on stage cannot be deleted. Archive it first.",
        ),
        (
            Act.REJECT,
            replace(READY, stage=Stage.ARCHIVED),
            "No request is open for version 2, which is in Archived.",
        ),
    ],
)
def test_why_not(act: Act, facts: Facts, said: str) -> None:
    assert refusals(act, facts, RULES) == (said,)


def test_a_change_that_breaks_clients_is_approved_as_such_or_not_at_all() -> None:
    breaking = replace(READY, signature_breaks=("The column 'a' is needed, and clients do not send it yet.",))
    assert refusals(Act.APPROVE, breaking, RULES) == (
        "The column 'a' is needed, and clients do not send it yet.",
        (
            "Clients of the version in Production would break; who approves this all the same says so:"
            " --accept-signature-change."
        ),
    )
    assert refusals(Act.APPROVE, replace(breaking, accepts_signature_change=True), RULES) == ()
