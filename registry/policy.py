"""The rules of review: a pure function from facts to refusals, one sentence each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.stages import Stage

if TYPE_CHECKING:
    from registry.validation import Validation

REASON_CHARACTERS = 1000

_NOT_WITHOUT_ANOTHER = (
    "is in Production, and nothing would replace it; roll back, or promote another version."
)
_USED = (
    "The approval let the version into Production once already; it needs a new request and a new approval."
)
_NO_AUTHOR = "The author of the version is not known, so nobody can be told apart."


@dataclass(frozen=True)
class Review:
    """A request for Production, or the approval of one: who, why, and for which artifact.

    `after` is the number of transitions that the model had seen by then: it says what came later
    without trusting a clock.
    """

    by: str
    at: str
    reason: str
    digest: str | None
    after: int = 0


@dataclass(frozen=True)
class Facts:
    """Everything the rules may look at."""

    version: int
    stage: Stage
    actor: str
    reason: str
    author: str | None
    digest: str | None
    validation: Validation | None = None
    request: Review | None = None
    approval: Review | None = None
    was_in_production: bool = False
    approval_was_used: bool = False


def request_refusals(facts: Facts) -> tuple[str, ...]:
    """Say why Production may not be asked for: not validated, or on stage already."""
    refusals = _reason_refusals(facts)
    if facts.stage is Stage.PRODUCTION:
        refusals.append(f"Version {facts.version} is in Production already.")
    return (*refusals, *_validation_refusals(facts))


def approve_refusals(facts: Facts) -> tuple[str, ...]:
    """Say why `actor` may not approve: nothing was asked, or four eyes would be two."""
    refusals = _reason_refusals(facts)
    if facts.request is None:
        refusals.append(
            f"Nobody asked for version {facts.version} to go to Production; expected a request first"
            " (python -m registry request)."
        )
    elif facts.request.digest != facts.digest:
        refusals.append("The request is for another artifact than the one registered now.")
    if facts.request is not None and facts.stage is not Stage.STAGING:
        refusals.append(
            f"Version {facts.version} is in {facts.stage}; only what waits in Staging is approved."
        )
    if facts.author is None:
        refusals.append(_NO_AUTHOR)
    if facts.actor == facts.author:
        refusals.append(
            f"{facts.actor} is the author of version {facts.version}; another person must approve."
        )
    elif facts.request is not None and facts.actor == facts.request.by:
        refusals.append(f"{facts.actor} asked for it; another person must approve.")
    return (*refusals, *_validation_refusals(facts))


def promote_refusals(facts: Facts, to: Stage) -> tuple[str, ...]:
    """Say why the version may not move to `to`."""
    refusals = _reason_refusals(facts)
    if facts.stage is to:
        return (*refusals, f"Version {facts.version} is in {to} already.")
    if facts.stage is Stage.PRODUCTION:
        return (*refusals, f"Version {facts.version} {_NOT_WITHOUT_ANOTHER}")
    if to is Stage.STAGING:
        return (*refusals, *_validation_refusals(facts))
    if to is not Stage.PRODUCTION:
        return (*refusals, f"{to} is not a stage to promote to; expected Staging or Production.")
    if facts.stage is not Stage.STAGING:
        refusals.append(
            f"Version {facts.version} is in {facts.stage}; only a version in Staging can go to"
            " Production (python -m registry request)."
        )
    return (*refusals, *_approval_refusals(facts), *_validation_refusals(facts))


def rollback_refusals(facts: Facts) -> tuple[str, ...]:
    """Say why Production may not go back to this version. Was it there before, it may go at once."""
    refusals = _reason_refusals(facts)
    if facts.stage is Stage.PRODUCTION:
        refusals.append(f"Version {facts.version} is in Production already.")
    elif not facts.was_in_production:
        refusals.append(
            f"Version {facts.version} was never in Production, so going there is no rollback; ask for"
            " a review instead (python -m registry request)."
        )
    return tuple(refusals)


def _reason_refusals(facts: Facts) -> list[str]:
    if not facts.reason.strip():
        return ["A reason is needed: --reason says why."]
    if len(facts.reason) > REASON_CHARACTERS or not facts.reason.isprintable():
        found = f"The reason has {len(facts.reason):,} characters, or one that cannot be printed;"
        return [f"{found} expected at most {REASON_CHARACTERS:,}, on one line."]
    return []


def _approval_refusals(facts: Facts) -> list[str]:
    version, approval = facts.version, facts.approval
    if approval is None:
        return [f"Version {version} has no approval; a reviewer gives it with: python -m registry approve."]
    if approval.digest != facts.digest:
        return ["The approval is for another artifact than the one registered now."]
    if facts.approval_was_used:
        return [_USED]
    if facts.author is None:
        return [_NO_AUTHOR]
    asked_by = facts.request.by if facts.request else approval.by
    # In this order, so that an author who asked is called the author.
    who = {asked_by: "the one who asked", facts.author: "the author of the version"}.get(approval.by)
    return [f"The approval is by {who}, which does not count."] if who else []


def _validation_refusals(facts: Facts) -> list[str]:
    validation = facts.validation
    if validation is None:
        run = f"mlflow run . --env-manager local -e validate -P version={facts.version}"
        return [f"Version {facts.version} was never validated; run: {run}."]
    if validation.digest != facts.digest:
        return ["The validation is of another artifact than the one registered now; validate again."]
    if not validation.passed:
        return [f"Its validation failed: {'; '.join(validation.reasons)}."]
    return []
