"""The rules of review: a pure function from facts to refusals, one sentence each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from registry import exposing, grounds
from registry.stages import Stage

if TYPE_CHECKING:
    import datetime as dt

    from registry.rules import Rules
    from registry.standing import Standing


class Act(StrEnum):
    """What a person can ask the registry to do with a version."""

    REQUEST = "request"
    APPROVE = "approve"
    REJECT = "reject"
    WITHDRAW = "withdraw"
    ROLLBACK = "rollback"
    ARCHIVE = "archive"
    DELETE = "delete"
    REQUEST_EXPOSURE = "request-exposure"
    APPROVE_EXPOSURE = "approve-exposure"
    REJECT_EXPOSURE = "reject-exposure"
    END_EXPOSURE = "end-exposure"

    @property
    def of(self) -> str:
        """What it is called in a sentence, before the version it is about."""
        return {
            Act.REQUEST: "request for",
            Act.APPROVE: "approval of",
            Act.REJECT: "rejection of",
            Act.WITHDRAW: "withdrawal of",
            Act.ROLLBACK: "rollback to",
            Act.ARCHIVE: "archiving of",
            Act.DELETE: "deletion of",
            Act.REQUEST_EXPOSURE: "request for exposure of",
            Act.APPROVE_EXPOSURE: "approval for exposure of",
            Act.REJECT_EXPOSURE: "rejection of exposure of",
            Act.END_EXPOSURE: "end of the exposure of",
        }[self]


@dataclass(frozen=True)
class Facts:
    """Everything the rules may look at.

    `obstacle` is what is wrong with the artifact or with what it came from, as one sentence.
    `signature_breaks` says what would break for clients of the version in Production. `registered_as`
    names the version as which the actor registered this very artifact, now or at any time. `champion` is
    the version in Production.
    """

    version: int
    stage: Stage
    actor: str
    may_review: bool
    reason: str
    standing: Standing
    now: dt.datetime
    obstacle: str | None = None
    signature_breaks: tuple[str, ...] = ()
    accepts_signature_change: bool = False
    registered_as: str | None = None
    champion: int | None = None


def refusals(act: Act, facts: Facts, rules: Rules) -> tuple[str, ...]:
    """Say why `facts.actor` may not do it; nothing where it is allowed."""
    check = {
        Act.REQUEST: _request,
        Act.APPROVE: _approve,
        Act.REJECT: _reject,
        Act.WITHDRAW: _withdraw,
        Act.ROLLBACK: _rollback,
        Act.ARCHIVE: _archive,
        Act.DELETE: _delete,
        Act.REQUEST_EXPOSURE: exposing.request,
        Act.APPROVE_EXPOSURE: exposing.approve,
        Act.REJECT_EXPOSURE: exposing.reject,
        Act.END_EXPOSURE: exposing.end,
    }[act]
    return (*grounds.of_reason(facts), *check(facts, rules))


def enough(facts: Facts, rules: Rules) -> bool:
    """Whether one more approval, by this actor, opens Production."""
    return len(facts.standing.approvals) + 1 >= rules.approvals


def _request(facts: Facts, rules: Rules) -> list[str]:
    if facts.stage is Stage.PRODUCTION:
        return [f"Version {facts.version} is in Production already."]
    asked = facts.standing.request
    if asked is not None and facts.stage is Stage.STAGING:
        return [f"Version {facts.version} waits for a review already: {asked.by} asked at {asked.at}."]
    return [*grounds.of_artifact(facts, rules), *grounds.of_validation(facts, rules)]


def _approve(facts: Facts, rules: Rules) -> list[str]:
    version, standing, actor = facts.version, facts.standing, facts.actor
    if facts.stage is Stage.PRODUCTION:
        return [f"Version {version} is in Production already."]
    said = grounds.of_right("approve", facts, rules)
    if standing.request is None:
        said.append(
            f"Nobody asked for version {version} to go to Production; expected a request first"
            " (python -m registry request)."
        )
    elif standing.request.digest != standing.digest:
        said.append("The request is for another artifact than the one registered now.")
    if facts.stage is not Stage.STAGING:
        said.append(f"Version {version} is in {facts.stage}; only what waits in Staging is approved.")
    said += grounds.of_other_eyes(facts, standing.request)
    if any(actor == approval.by for approval in standing.approvals):
        said.append(f"{actor} approved it already; {rules.approvals} different reviewers are needed.")
    said += [*grounds.of_artifact(facts, rules), *grounds.of_validation(facts, rules)]
    if facts.signature_breaks and not facts.accepts_signature_change:
        said += [
            *facts.signature_breaks,
            (
                "Clients of the version in Production would break; who approves this all the same says so:"
                " --accept-signature-change."
            ),
        ]
    return said


def _reject(facts: Facts, rules: Rules) -> list[str]:
    return [*grounds.of_right("reject", facts, rules), *_of_open_request(facts)]


def _withdraw(facts: Facts, rules: Rules) -> list[str]:
    said, standing = _of_open_request(facts), facts.standing
    mine = standing.author, standing.request.by if standing.request else None
    if not said and facts.actor not in mine and not facts.may_review:
        said.append(
            f"Only who asked ({mine[1]}), the author ({mine[0]}) or a reviewer (role"
            f" {rules.reviewer_role!r}) may withdraw it."
        )
    return said


def _rollback(facts: Facts, rules: Rules) -> list[str]:
    said = grounds.of_right("roll back", facts, rules)
    if facts.stage is Stage.PRODUCTION:
        said.append(f"Version {facts.version} is in Production already.")
    elif not facts.standing.was_in_production:
        said.append(
            f"Version {facts.version} was never in Production, so going there is no rollback; ask for"
            " a review instead (python -m registry request)."
        )
    return [*said, *grounds.of_artifact(facts, rules)]


def _archive(facts: Facts, rules: Rules) -> list[str]:
    match facts.stage:
        case Stage.ARCHIVED:
            return [f"Version {facts.version} is in Archived already."]
        case Stage.PRODUCTION:
            return grounds.of_right("take a version off Production", facts, rules)
        case Stage.STAGING if facts.standing.request is not None:
            return _withdraw(facts, rules)
    return []


def _delete(facts: Facts, rules: Rules) -> list[str]:  # noqa: ARG001  # as all of them
    if facts.stage in (Stage.STAGING, Stage.PRODUCTION):
        return [
            (
                f"Version {facts.version} is in {facts.stage}; what is on stage cannot be deleted."
                " Archive it first."
            )
        ]
    return []


def _of_open_request(facts: Facts) -> list[str]:
    if facts.standing.request is None or facts.stage is not Stage.STAGING:
        return [f"No request is open for version {facts.version}, which is in {facts.stage}."]
    return []
