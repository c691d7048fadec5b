"""What all replicas of an endpoint share: the table of buckets, how far ramps are, what is stopped.

Pure. A version is stopped by its digest and its approval: whatever arm it is declared as, it gets no traffic
until somebody approves it anew.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from serving.errors import RoutesError
from serving.routing.buckets import ALL_CHAMPION, Table, quotas, rebalance, runs_of, table_of
from serving.routing.declaration import CHAMPION
from serving.routing.guards import has_enough

if TYPE_CHECKING:
    from collections.abc import Mapping

    from serving.routing.declaration import Challenger, Routes
    from serving.routing.watch import Watch

_FORMAT = 1
# So many stops are remembered: a version beyond them has long lost its approval.
_STOPS = 100


@dataclass(frozen=True)
class Approved:
    """A version that may answer clients, by an approval that was given at a time (ISO 8601)."""

    version: int
    digest: str
    approved_at: str


@dataclass(frozen=True)
class Ramp:
    """Where the ramp of an arm is: its step, from 0, and since when (epoch seconds)."""

    digest: str
    approved_at: str
    step: int
    since: float


@dataclass(frozen=True)
class Stop:
    """Why a version gets no traffic, and since when (epoch seconds)."""

    arm: str
    version: int
    approved_at: str
    reason: str
    at: float


@dataclass(frozen=True)
class SharedState:
    """The shared object. `declared` is the digest of the shares that the table was made for."""

    model: str
    declared: str = ""
    table: Table = ALL_CHAMPION
    ramps: Mapping[str, Ramp] = field(default_factory=dict)
    stopped: Mapping[str, Stop] = field(default_factory=dict)

    def stop_of(self, approved: Approved) -> Stop | None:
        """Return why this version is stopped under this approval; None where it is not."""
        found = self.stopped.get(approved.digest)
        return found if found is not None and found.approved_at == approved.approved_at else None

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            "format": _FORMAT,
            "model": self.model,
            "declared": self.declared,
            "table": runs_of(self.table),
            "ramps": {arm: asdict(ramp) for arm, ramp in sorted(self.ramps.items())},
            "stopped": {digest: asdict(stop) for digest, stop in self.stopped.items()},
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any], where: str, model: str) -> SharedState:
        """Read what `to_json` wrote. Raises `RoutesError` for anything else, and for another model's."""
        if found.get("format") != _FORMAT or found.get("model") != model:
            raise RoutesError(
                f"{where} is of format {found.get('format')!r} and model {found.get('model')!r:.80}, expected"
                f" {_FORMAT} and {model!r}. Declare another place with the key 'state'"
            )
        try:
            return cls(
                model=model,
                declared=str(found["declared"]),
                table=table_of(tuple(run) for run in found["table"]),
                ramps={arm: Ramp(**ramp) for arm, ramp in found["ramps"].items()},
                stopped={digest: Stop(**stop) for digest, stop in found["stopped"].items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RoutesError(
                f"{where} can not be read ({error!r:.200}). Delete it to begin anew; some clients then change"
                " arms"
            ) from error


def declared_digest(routes: Routes) -> str:
    """Return what changes whenever shares or ramps do."""
    shares = [(c.arm, c.mode, c.weight, [asdict(step) for step in c.ramp]) for c in routes.challengers]
    said = json.dumps([routes.champion_weight, [each for each in shares if each[1] != "shadow"]])
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def next_state(
    state: SharedState,
    routes: Routes,
    approved: Mapping[str, Approved],
    watch: Watch | None,
    now: float,
) -> SharedState:
    """Return the state that follows: ramps that begin or move on, and the table for it.

    `approved` has each arm that can answer now. The state itself is returned where nothing follows.
    """
    ramps = {
        each.arm: moved
        for each in routes.challengers
        if each.mode == "canary" and (moved := _ramp(state, each, approved.get(each.arm), watch, now))
    }
    percents = {each.arm: each.weight for each in routes.challengers if each.mode == "ab"}
    for each in routes.challengers:
        ramp = ramps.get(each.arm)
        if ramp is not None:
            is_stopped = state.stop_of(Approved(0, ramp.digest, ramp.approved_at)) is not None
            percents[each.arm] = 0.0 if is_stopped else each.ramp[ramp.step].percent
    table = rebalance(state.table, quotas(percents))
    return replace(state, declared=declared_digest(routes), table=table, ramps=ramps)


def stopped(state: SharedState, arm: str, approved: Approved, reason: str, now: float) -> SharedState:
    """Return the state in which a version is stopped, and its buckets are the champion's."""
    counts = Counter(state.table)
    counts[CHAMPION] += counts.pop(arm, 0)
    stop = Stop(arm, approved.version, approved.approved_at, reason, now)
    kept = {digest: each for digest, each in state.stopped.items() if digest != approved.digest}
    latest = dict([*kept.items(), (approved.digest, stop)][-_STOPS:])
    return replace(state, table=rebalance(state.table, counts), stopped=latest)


def _ramp(
    state: SharedState, each: Challenger, approved: Approved | None, watch: Watch | None, now: float
) -> Ramp | None:
    ramp = state.ramps.get(each.arm)
    last = len(each.ramp) - 1
    if ramp is not None and ramp.step > last:
        ramp = replace(ramp, step=last, since=now)  # it was declared shorter meanwhile
    if approved is None:
        return ramp  # it goes on where it is, should it come back
    if ramp is None or (ramp.digest, ramp.approved_at) != (approved.digest, approved.approved_at):
        return Ramp(approved.digest, approved.approved_at, 0, now)
    if ramp.step == last or state.stop_of(approved) or now - ramp.since < each.ramp[ramp.step].for_s:
        return ramp
    seen = watch.of(each.arm, ramp.digest, ramp.since) if watch is not None else None
    if seen is None or seen.breach is not None or not has_enough(each.guards, seen):
        return ramp
    return replace(ramp, step=ramp.step + 1, since=now)
