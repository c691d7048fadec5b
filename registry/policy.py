"""The rules of review: a pure function from facts to refusals, one sentence each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.stages import Stage

if TYPE_CHECKING:
    from registry.validation import Validation

_NO_AUTHOR = "The author of the version is not known, so nobody can be told apart."


@dataclass(frozen=True)
class Review:
    """A request for Production, or the approval of one: who, why, and for which artifact."""

    by: str
    at: str
    reason: str
    digest: str | None


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
    if to is Stage.STAGING:
        return (*refusals, *_validation_refusals(facts))
    if to is not Stage.PRODUCTION:
        return (*refusals, f"{to} is not a stage to promote to; expected Staging or Production.")
    if facts.stage is not Stage.STAGING:
        refusals.append(
            f"Version {facts.version} is in {facts.stage}; only a version in Staging can go to"
            " Production (python -m registry request)."
        )
    if facts.approval is None:
        refusals.append(
            f"Version {facts.version} has no approval; a reviewer gives it with: python -m registry approve."
        )
    elif facts.approval.digest != facts.digest:
        refusals.append("The approval is for another artifact than the one registered now.")
    elif facts.author is None:
        refusals.append(_NO_AUTHOR)
    elif facts.approval.by == facts.author:
        refusals.append("The approval is by the author of the version, which does not count.")
    return (*refusals, *_validation_refusals(facts))


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
    return [] if facts.reason.strip() else ["A reason is needed: --reason says why."]


def _validation_refusals(facts: Facts) -> list[str]:
    validation = facts.validation
    if validation is None:
        return [
            (
                f"Version {facts.version} was never validated; run: mlflow run . -e validate -P"
                f" version={facts.version}."
            )
        ]
    if validation.digest != facts.digest:
        return ["The validation is of another artifact than the one registered now; validate again."]
    if not validation.passed:
        return [f"Its validation failed: {'; '.join(validation.reasons)}."]
    return []
