"""The rules for exposure hold for any facts, and what the lines add up to."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_registry_policy import (
    NOW,
    READY,
    RULES,
    all_rules,
    anything,
    digests,
    for_any_facts,
    line,
    people,
    sound,
    verdict,
)

from registry import Action, Stage
from registry.exposing import enough
from registry.ledger import Line
from registry.policy import Act, Facts, refusals
from registry.rules import Rules
from registry.standing import Exposure, standing_of

ACTS = (Act.REQUEST_EXPOSURE, Act.APPROVE_EXPOSURE, Act.REJECT_EXPOSURE, Act.END_EXPOSURE)

requests = st.builds(line, st.just(Action.EXPOSURE_REQUESTED), people, digests)
approvals = st.lists(st.builds(line, st.just(Action.EXPOSURE_APPROVED), people), max_size=2).map(tuple)
exposures = st.just(Exposure()) | st.builds(
    Exposure, requests, approvals, st.none() | st.builds(line, st.just(Action.EXPOSED), people)
)
champions = st.none() | st.integers(1, 3)

ASKED = replace(
    READY,
    champion=1,
    standing=replace(READY.standing, exposure=Exposure(request=line(Action.EXPOSURE_REQUESTED, "eve"))),
)
BEGUN = replace(
    ASKED,
    standing=replace(
        ASKED.standing, exposure=replace(ASKED.standing.exposure, begun=line(Action.EXPOSED, "rob"))
    ),
)


def exposing(facts: Facts, exposure: Exposure, champion: int | None) -> Facts:
    return replace(facts, champion=champion, standing=replace(facts.standing, exposure=exposure))


@for_any_facts
@given(facts=anything, exposure=exposures, champion=champions, rules=all_rules)
def test_clients_are_answered_after_four_eyes_on_this_very_artifact(
    facts: Facts, exposure: Exposure, champion: int | None, rules: Rules
) -> None:
    facts = exposing(facts, exposure, champion)
    if refusals(Act.APPROVE_EXPOSURE, facts, rules):
        return
    s = facts.standing
    assert facts.may_review
    assert facts.stage is Stage.STAGING
    assert exposure.request is not None
    assert exposure.request.digest == s.digest
    assert s.author is not None
    assert facts.actor not in {s.author, exposure.request.by, *(a.by for a in exposure.approvals)}
    assert sound(facts, rules)
    assert exposure.begun is None
    assert facts.champion is not None
    # Who accepts a change of the signature says it of a promotion.
    assert not facts.signature_breaks


@for_any_facts
@given(facts=anything, exposure=exposures, champion=champions, rules=all_rules)
def test_it_is_asked_for_in_staging_and_stopped_by_anybody(
    facts: Facts, exposure: Exposure, champion: int | None, rules: Rules
) -> None:
    facts = exposing(facts, exposure, champion)
    if not refusals(Act.REQUEST_EXPOSURE, facts, rules):
        assert facts.stage is Stage.STAGING
        assert exposure == Exposure()
        assert sound(facts, rules)
        assert not facts.signature_breaks
    reasoned = replace(facts, reason="because")
    assert (not refusals(Act.END_EXPOSURE, reasoned, rules)) is (exposure.request is not None)


@for_any_facts
@given(facts=anything, exposure=exposures, rules=all_rules, act=st.sampled_from(ACTS))
def test_refusals_are_sentences_and_none_is_said_twice(
    facts: Facts, exposure: Exposure, rules: Rules, act: Act
) -> None:
    said = refusals(act, exposing(facts, exposure, 1), rules)
    assert len(set(said)) == len(said)
    assert all(sentence.endswith((".", ").")) for sentence in said)


def test_what_is_ready_is_allowed() -> None:
    ready = replace(READY, champion=1)
    assert refusals(Act.REQUEST_EXPOSURE, ready, RULES) == ()
    for act in ACTS[1:]:
        assert refusals(act, ASKED, RULES) == ()
    assert refusals(Act.END_EXPOSURE, replace(BEGUN, may_review=False), RULES) == ()
    two = Rules(approvals=2)
    assert enough(ASKED, RULES)
    assert not enough(ASKED, two)


AT = NOW.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("act", "facts", "said"),
    [
        (
            Act.APPROVE_EXPOSURE,
            replace(READY, champion=1),
            (
                "Nobody asked for version 2 to be exposed to clients; expected a request first"
                " (python -m registry request --exposure)."
            ),
        ),
        (
            Act.APPROVE_EXPOSURE,
            BEGUN,
            f"Version 2 is exposed already, by rob since {AT}.",
        ),
        (
            Act.REJECT_EXPOSURE,
            BEGUN,
            (f"Version 2 is exposed already, by rob since {AT}; end it: python -m registry end-exposure."),
        ),
        (
            Act.REQUEST_EXPOSURE,
            ASKED,
            f"Version 2 waits for an approval for exposure already: eve asked at {AT}.",
        ),
        (
            Act.APPROVE_EXPOSURE,
            replace(ASKED, actor="eve"),
            "eve asked for it; another person must approve.",
        ),
        (
            Act.APPROVE_EXPOSURE,
            replace(ASKED, champion=None),
            "Nothing is in Production that it could be exposed beside.",
        ),
        (
            Act.APPROVE_EXPOSURE,
            replace(
                ASKED,
                standing=replace(
                    ASKED.standing, verdict=verdict("ann", passed=False, digest="d1", days_ago=0)
                ),
            ),
            "Its validation failed: auc is 0.5; expected at least 0.62.",
        ),
        (
            Act.END_EXPOSURE,
            READY,
            "Version 2 is not exposed, and nobody asked for it.",
        ),
    ],
)
def test_why_not(act: Act, facts: Facts, said: str) -> None:
    assert refusals(act, facts, RULES) == (said,)


def test_other_clients_are_no_matter_of_acceptance() -> None:
    breaking = replace(
        ASKED,
        signature_breaks=("The column 'a' is needed, and clients do not send it yet.",),
        accepts_signature_change=True,
    )
    assert refusals(Act.APPROVE_EXPOSURE, breaking, RULES) == (
        "The column 'a' is needed, and clients do not send it yet.",
        "Clients of the version in Production would break, so it cannot answer them beside that version.",
    )


def moved(action: Action, from_stage: Stage, to_stage: Stage) -> Line:
    return replace(line(action, "ann"), from_stage=from_stage, to_stage=to_stage)


LIVED = (
    moved(Action.REGISTERED, Stage.NONE, Stage.NONE),
    moved(Action.REQUESTED, Stage.NONE, Stage.STAGING),
    *(
        moved(action, Stage.STAGING, Stage.STAGING)
        for action in (Action.EXPOSURE_REQUESTED, Action.EXPOSURE_APPROVED, Action.EXPOSED)
    ),
)


def test_lines_add_up() -> None:
    exposure = standing_of(LIVED).exposure
    assert (exposure.request, exposure.approvals, exposure.begun) == (LIVED[2], (LIVED[3],), LIVED[4])
    assert standing_of(LIVED).request == LIVED[1]
    # A vote for Production, and a verdict that comes later, change nothing of it.
    stays = moved(Action.APPROVED, Stage.STAGING, Stage.STAGING)
    judged = replace(
        verdict("ann", passed=True, digest="d1", days_ago=0),
        from_stage=Stage.STAGING,
        to_stage=Stage.STAGING,
    )
    assert standing_of([*LIVED, stays, judged]).exposure == exposure


@pytest.mark.parametrize(
    "last",
    [
        moved(Action.EXPOSURE_REJECTED, Stage.STAGING, Stage.STAGING),
        moved(Action.EXPOSURE_ENDED, Stage.STAGING, Stage.STAGING),
        moved(Action.REJECTED, Stage.STAGING, Stage.NONE),
        moved(Action.WITHDRAWN, Stage.STAGING, Stage.NONE),
        moved(Action.ARCHIVED, Stage.STAGING, Stage.ARCHIVED),
        moved(Action.PROMOTED, Stage.STAGING, Stage.PRODUCTION),
        moved(Action.DELETED, Stage.STAGING, Stage.STAGING),
        # As `init` finds a version again that a stock server made under an old number.
        moved(Action.REGISTERED, Stage.STAGING, Stage.STAGING),
    ],
    ids=lambda last: f"{last.action} to {last.to_stage}",
)
def test_what_ends_it(last: Line) -> None:
    assert standing_of([*LIVED, last]).exposure == Exposure()
