"""The rules of review hold for any facts, and say what is wrong in sentences."""

import os
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry import Stage, Validation
from registry.policy import (
    Facts,
    Review,
    approve_refusals,
    promote_refusals,
    request_refusals,
    rollback_refusals,
)

EXAMPLES = 20_000 if os.environ.get("GREENROOM_EXHAUSTIVE") else 100

people = st.sampled_from(["ann", "bob", "eve"])
digests = st.sampled_from(["d1", "d1", "d2"])
no_digest = st.none() | digests
reasons = st.sampled_from(["because", "because", "", " \t\n"])
reviews = st.builds(Review, by=people, at=st.just("now"), reason=st.just("why"), digest=no_digest)
validations = st.builds(
    Validation,
    passed=st.booleans(),
    digest=digests | st.just(""),
    run_id=st.just("run"),
    metrics=st.just({}),
    reasons=st.just(("auc is 0.5; expected at least 0.62",)),
)
anything = st.builds(
    Facts,
    version=st.integers(1, 3),
    stage=st.sampled_from(Stage),
    actor=people,
    reason=reasons,
    author=st.none() | people,
    digest=no_digest,
    validation=st.none() | validations,
    request=st.none() | reviews,
    approval=st.none() | reviews,
    was_in_production=st.booleans(),
    approval_was_used=st.booleans(),
)
for_any_facts = settings(max_examples=EXAMPLES, deadline=None)

LONG_REASON = (
    "The reason has 1,001 characters, or one that cannot be printed; expected at most 1,000, on one line."
)
USED = "The approval let the version into Production once already; it needs a new request and a new approval."
VALID = Validation(passed=True, digest="d1", run_id="run", metrics={}, reasons=())
READY = Facts(
    version=2,
    stage=Stage.STAGING,
    actor="bob",
    reason="because",
    author="ann",
    digest="d1",
    validation=VALID,
    request=Review("ann", "then", "please", "d1"),
    approval=Review("bob", "then", "looked", "d1"),
)


def validated(facts: Facts) -> bool:
    validation = facts.validation
    return validation is not None and validation.passed and validation.digest == facts.digest


@for_any_facts
@given(facts=anything)
def test_production_only_with_four_eyes_on_this_very_artifact(facts: Facts) -> None:
    allowed = (
        bool(facts.reason.strip())
        and facts.stage is Stage.STAGING
        and validated(facts)
        and facts.author is not None
        and facts.approval is not None
        and facts.approval.by != facts.author
        and facts.approval.digest == facts.digest
        and facts.request is not None
        and facts.approval.by != facts.request.by
        and not facts.approval_was_used
    )
    assert (promote_refusals(facts, Stage.PRODUCTION) == ()) is allowed


@for_any_facts
@given(facts=anything)
def test_staging_only_with_a_passed_validation_of_this_very_artifact(facts: Facts) -> None:
    waits = facts.stage in {Stage.NONE, Stage.ARCHIVED}
    allowed = bool(facts.reason.strip()) and waits and validated(facts)
    assert (promote_refusals(facts, Stage.STAGING) == ()) is allowed


@for_any_facts
@given(facts=anything, to=st.sampled_from([Stage.NONE, Stage.ARCHIVED]))
def test_nothing_is_promoted_elsewhere(facts: Facts, to: Stage) -> None:
    assert promote_refusals(facts, to)


@for_any_facts
@given(facts=anything)
def test_a_request_needs_a_validation(facts: Facts) -> None:
    allowed = bool(facts.reason.strip()) and facts.stage is not Stage.PRODUCTION and validated(facts)
    assert (request_refusals(facts) == ()) is allowed


@for_any_facts
@given(facts=anything)
def test_nobody_approves_what_is_theirs_or_what_they_asked_for(facts: Facts) -> None:
    allowed = (
        bool(facts.reason.strip())
        and validated(facts)
        and facts.stage is Stage.STAGING
        and facts.request is not None
        and facts.request.digest == facts.digest
        and facts.author is not None
        and facts.actor not in {facts.author, facts.request.by}
    )
    assert (approve_refusals(facts) == ()) is allowed


@for_any_facts
@given(facts=anything)
def test_a_rollback_goes_where_production_was(facts: Facts) -> None:
    allowed = bool(facts.reason.strip()) and facts.was_in_production and facts.stage is not Stage.PRODUCTION
    assert (rollback_refusals(facts) == ()) is allowed


@for_any_facts
@given(facts=anything, to=st.sampled_from(Stage))
def test_refusals_are_sentences_and_none_is_said_twice(facts: Facts, to: Stage) -> None:
    for refusals in (
        promote_refusals(facts, to),
        request_refusals(facts),
        approve_refusals(facts),
        rollback_refusals(facts),
    ):
        assert len(set(refusals)) == len(refusals)
        assert all(sentence[0].isupper() or facts.actor in sentence for sentence in refusals)
        assert all(sentence.endswith(".") for sentence in refusals)


def test_what_is_ready_is_allowed() -> None:
    assert promote_refusals(READY, Stage.PRODUCTION) == ()
    assert approve_refusals(replace(READY, approval=None)) == ()
    assert request_refusals(replace(READY, stage=Stage.NONE, request=None, approval=None)) == ()


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (replace(READY, reason=" "), "A reason is needed: --reason says why."),
        (replace(READY, stage=Stage.PRODUCTION), "Version 2 is in Production already."),
        (
            replace(READY, stage=Stage.NONE),
            (
                "Version 2 is in None; only a version in Staging can go to Production"
                " (python -m registry request)."
            ),
        ),
        (
            replace(READY, stage=Stage.ARCHIVED),
            (
                "Version 2 is in Archived; only a version in Staging can go to Production"
                " (python -m registry request)."
            ),
        ),
        (
            replace(READY, approval=None),
            "Version 2 has no approval; a reviewer gives it with: python -m registry approve.",
        ),
        (
            replace(READY, approval=Review("bob", "then", "looked", "d2")),
            "The approval is for another artifact than the one registered now.",
        ),
        (
            replace(READY, approval=Review("ann", "then", "looked", "d1")),
            "The approval is by the author of the version, which does not count.",
        ),
        (
            replace(READY, request=Review("bob", "then", "please", "d1")),
            "The approval is by the one who asked, which does not count.",
        ),
        (
            replace(READY, approval_was_used=True),
            USED,
        ),
        (replace(READY, reason="x" * 1001), LONG_REASON),
        (
            replace(READY, author=None),
            "The author of the version is not known, so nobody can be told apart.",
        ),
        (
            replace(READY, validation=None),
            "Version 2 was never validated; run: mlflow run . --env-manager local -e validate -P version=2.",
        ),
        (
            replace(READY, validation=replace(VALID, digest="d2")),
            "The validation is of another artifact than the one registered now; validate again.",
        ),
        (
            replace(READY, validation=replace(VALID, passed=False, reasons=("auc is low", "so is brier"))),
            "Its validation failed: auc is low; so is brier.",
        ),
    ],
)
def test_why_not_to_production(facts: Facts, said: str) -> None:
    assert promote_refusals(facts, Stage.PRODUCTION) == (said,)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (replace(READY, actor="ann"), "ann is the author of version 2; another person must approve."),
        (
            replace(READY, request=Review("bob", "then", "please", "d1")),
            "bob asked for it; another person must approve.",
        ),
        (
            replace(READY, request=None),
            (
                "Nobody asked for version 2 to go to Production; expected a request first"
                " (python -m registry request)."
            ),
        ),
        (
            replace(READY, request=Review("ann", "then", "please", "d2")),
            "The request is for another artifact than the one registered now.",
        ),
    ],
)
def test_why_not_approved(facts: Facts, said: str) -> None:
    assert approve_refusals(facts) == (said,)
