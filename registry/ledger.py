"""The ledger: what happened to every version, as one hash chain over all models.

Each line holds the hash of the line before it, so an altered, missing or reordered line shows. A chain
cannot show that its tail was cut or that all of it was written anew; its head is kept elsewhere for that
(`registry.heads`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from registry.stages import Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Action(StrEnum):
    """What can happen to a version."""

    REGISTERED = "registered"
    VALIDATED = "validated"
    REQUESTED = "requested"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled back"
    ARCHIVED = "archived"
    DELETED = "deleted"
    EXPOSURE_REQUESTED = "exposure requested"
    EXPOSURE_APPROVED = "exposure approved"
    EXPOSURE_REJECTED = "exposure rejected"
    EXPOSED = "exposed"
    EXPOSURE_ENDED = "exposure ended"


@dataclass(frozen=True)
class Line:
    """One line: who did what to which version, when, why, and on what evidence.

    `number` counts from 1 without gaps over all models. `at` is the server's clock in UTC (ISO 8601,
    milliseconds); nothing is ordered by it. `from_stage` equals `to_stage` where the stage stayed.
    `attempt` is the caller's own id of what it tried: sent twice, it is done once. `previous` is the
    hash of the line before, "" for the first.
    """

    number: int
    at: str
    by: str
    action: Action
    model: str
    version: int
    from_stage: Stage
    to_stage: Stage
    reason: str
    digest: str | None
    evidence: dict[str, Any]
    attempt: str
    previous: str
    hash: str

    @classmethod
    def following(cls, previous: Line | None, **said: Any) -> Line:
        """Make the line that comes after `previous`; `said` is every field but the chain's own."""
        number = previous.number + 1 if previous else 1
        line = cls(number=number, previous=previous.hash if previous else "", hash="", **said)
        return cls(**{**_values(line), "hash": line.computed_hash()})

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Line:
        """Read what `to_plain` wrote."""
        stages = {key: Stage(plain[key]) for key in ("from_stage", "to_stage")}
        return cls(**{**plain, **stages, "action": Action(plain["action"])})

    def to_plain(self) -> dict[str, Any]:
        """Return the line as JSON values."""
        return {
            name: str(value) if isinstance(value, StrEnum) else value for name, value in _values(self).items()
        }

    def computed_hash(self) -> str:
        """Compute the SHA-256 over every field but the hash itself."""
        plain = {name: value for name, value in self.to_plain().items() if name != "hash"}
        text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Head:
    """The hash of a line, kept where the database's owner cannot change it."""

    number: int
    hash: str


def find_faults(lines: Iterable[Line], heads: Iterable[Head] = ()) -> list[str]:
    """Compare a whole chain with itself and with the heads kept of it; one sentence for each fault."""
    faults: list[str] = []
    hashes: dict[int, str] = {}
    previous, expected = "", 1
    for line in lines:
        if line.number > expected:
            gone = (
                f"line {expected}"
                if line.number == expected + 1
                else f"lines {expected} to {line.number - 1}"
            )
            faults.append(f"The ledger goes from {expected - 1} to {line.number}: {gone} missing.")
        elif line.number < expected:
            faults.append(f"Line {line.number} comes after line {expected - 1}: lines were reordered.")
        elif line.previous != previous:
            faults.append(f"Line {line.number} does not follow from line {line.number - 1}: {_named(line)}.")
        if line.computed_hash() != line.hash:
            faults.append(f"Line {line.number} was altered: {_named(line)}.")
        hashes[line.number] = line.hash
        previous, expected = line.hash, line.number + 1
    last = expected - 1
    for head in sorted(heads, key=lambda h: h.number):
        if head.number > last:
            faults.append(
                f"The ledger ends at line {last}, and line {head.number} was known: its tail was cut."
            )
        elif hashes.get(head.number, head.hash) != head.hash:
            faults.append(
                f"Line {head.number} is not the one that was known then ({head.hash[:12]}…): the ledger was"
                " written anew from there or before."
            )
    return faults


def _named(line: Line) -> str:
    return f"{line.model} version {line.version}, {line.action}, by {line.by}, {line.at}"


def _values(line: Line) -> dict[str, Any]:
    return {field.name: getattr(line, field.name) for field in fields(line)}
