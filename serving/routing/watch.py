"""`watch.json`: what each arm has answered lately, and which one is to be stopped at once.

Written each second by the process that records exposures; read by the follower, which moves ramps and stops
arms for all replicas, and by workers, which stop an arm of theirs without asking anybody.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from serving.files import read_json, write_json
from serving.routing.guards import Watched

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_FLOATS = {"since", "p50_ms", "p99_ms", "psi"}
_MAYBE = {"p50_ms", "p99_ms", "psi", "breach"}


@dataclass(frozen=True)
class Watch:
    """All arms of a model, at a time in epoch seconds."""

    written_at: float
    arms: Mapping[str, Watched]

    def of(self, arm: str, digest: str | None, since: float | None) -> Watched | None:
        """Return what was seen of this version in this ramp step; None where it is of another, or nothing."""
        found = self.arms.get(arm)
        return found if found is not None and (found.digest, found.since) == (digest, since) else None


def write_watch(path: Path, watch: Watch) -> None:
    """Put a watch in the place of the one before. Raises `OSError`."""
    write_json(path, asdict(watch))


def read_watch(path: Path) -> Watch | None:
    """Read a watch; None where there is none, or what is there is none of this Greenroom."""
    found = read_json(path)
    if found is None or not _is_number(found.get("written_at")) or not isinstance(found.get("arms"), dict):
        return None
    if not all(_fits(each) for each in found["arms"].values()):
        return None
    return Watch(found["written_at"], {arm: Watched(**each) for arm, each in found["arms"].items()})


def _fits(found: Any) -> bool:
    names = {each.name for each in fields(Watched)}
    if not isinstance(found, dict) or found.keys() != names:
        return False
    return all(_is_kind(name, value) for name, value in found.items())


def _is_kind(name: str, value: object) -> bool:
    if value is None:
        return name in _MAYBE
    if name in _FLOATS:
        return _is_number(value)
    return type(value) is (int if name in {"exposures", "errors"} else str)


def _is_number(found: object) -> bool:
    return type(found) in {int, float}
