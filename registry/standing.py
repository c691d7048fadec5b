"""Where a version stands: what the ledger's lines about it add up to. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from registry.ledger import Action, Line
from registry.stages import Stage
from registry.validation import Validation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True)
class Exposure:
    """Whether a version may answer clients beside the one in Production: asked, approved, begun.

    `begun` is the line since which it may; `approvals` are those it got so far.
    """

    request: Line | None = None
    approvals: tuple[Line, ...] = ()
    begun: Line | None = None

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Exposure:
        """Read what `to_plain` wrote."""
        request, begun = plain["request"], plain["begun"]
        return cls(
            request=Line.from_plain(request) if request else None,
            approvals=tuple(Line.from_plain(line) for line in plain["approvals"]),
            begun=Line.from_plain(begun) if begun else None,
        )

    def to_plain(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "request": self.request.to_plain() if self.request else None,
            "approvals": [line.to_plain() for line in self.approvals],
            "begun": self.begun.to_plain() if self.begun else None,
        }


@dataclass(frozen=True)
class Standing:
    """What is known of a version that is registered now.

    `request` is the open request; `approvals` are those it got so far. `artifact` is what the server
    found in the artifact when it fixed the digest: manifest, format, signature. `exposure` ends where the
    version changes its stage.
    """

    author: str | None = None
    digest: str | None = None
    artifact: dict[str, Any] | None = None
    verdict: Line | None = None
    request: Line | None = None
    approvals: tuple[Line, ...] = ()
    decision: Line | None = None
    was_in_production: bool = False
    exposure: Exposure = Exposure()

    @property
    def validation(self) -> Validation | None:
        """The newest verdict on it."""
        return Validation.from_plain(self.verdict.evidence["validation"]) if self.verdict else None


def standing_of(lines: Iterable[Line]) -> Standing:
    """Add up the lines about one version, oldest first.

    A number is used again where a model was deleted and made anew: what was said before that does not
    count for the new one.
    """
    now = Standing()
    for line in lines:
        now = replace(_after(now, line), exposure=_exposure_after(now.exposure, line))
        if line.to_stage is Stage.PRODUCTION:
            now = replace(now, was_in_production=True)
    return now


def _after(now: Standing, line: Line) -> Standing:
    match line.action:
        case Action.REGISTERED:
            author = line.evidence.get("author", line.by)
            return Standing(author, line.digest, line.evidence.get("artifact"))
        case Action.DELETED:
            now = Standing()
        case Action.VALIDATED:
            artifact = line.evidence.get("artifact", now.artifact)
            return replace(now, verdict=line, digest=now.digest or line.digest, artifact=artifact)
        case Action.REQUESTED:
            return replace(now, request=line, approvals=(), decision=None)
        case Action.APPROVED:
            return replace(now, approvals=(*now.approvals, line))
        case Action.REJECTED | Action.WITHDRAWN | Action.PROMOTED | Action.ROLLED_BACK | Action.ARCHIVED:
            return replace(now, request=None, approvals=(), decision=line)
    return now


def _exposure_after(now: Exposure, line: Line) -> Exposure:
    if line.action is Action.REGISTERED or line.from_stage is not line.to_stage:
        return Exposure()
    match line.action:
        case Action.EXPOSURE_REQUESTED:
            return Exposure(request=line)
        case Action.EXPOSURE_APPROVED:
            return replace(now, approvals=(*now.approvals, line))
        case Action.EXPOSED:
            return replace(now, begun=line)
        case Action.EXPOSURE_REJECTED | Action.EXPOSURE_ENDED | Action.DELETED:
            return Exposure()
    return now
