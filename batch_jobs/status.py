"""Status: which days of a job are published, from which input, by which version, and what is to be done."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from batch_jobs.live import live_partitions
from batch_jobs.mending.repairs import NO_REPAIRS, read_repairs, repaired_days
from storage import Snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batch_jobs.live import LivePartition
    from storage import ObjectVersion, S3Settings, Store

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
# What a day's plan is made of, and how people call it.
_CALLED = {
    "model": "model",
    "model_version": "version in Production",
    "snapshot_digest": "input",
    "artifact_digest": "artifact",
    "suite_digest": "suites or limits",
    "code_digest": "code",
    "repairs_digest": "repairs",
}


class State(StrEnum):
    """What is to be done for a day: nothing, score it again, score it, or ask where its input is."""

    CURRENT = "current"
    STALE = "stale"
    MISSING = "missing"
    NO_INPUT = "no input"


@dataclass(frozen=True)
class Day:
    """One day of a job; `changed` says what is not as it was when the day was published.

    `wanted` is the plan of a run of what lies there for it now, if anything does.
    """

    date: dt.date
    state: State
    live: LivePartition | None
    changed: tuple[str, ...] = ()
    wanted: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        if self.live is None:
            return str(self.state)
        found = self.live
        said = f"{self.state}: {found.scored + found.quarantined:,} rows = {found.scored:,} scored"
        said += f" + {found.quarantined:,} quarantined, by {found.plan['model']} version"
        said += f" {found.plan['model_version']}"
        return f"{said}; since then, another {', '.join(self.changed)}" if self.changed else said


def to_plain(day: Day) -> dict[str, object]:
    """Return a day as data for JSON."""
    live = day.live
    about = {"run_id": live.run_id, **live.counts, **live.plan} if live else {}
    return {"date": str(day.date), "state": str(day.state), "changed": list(day.changed), **about}


def find_days(
    input_uri: str,
    table_uri: str,
    plan: Mapping[str, object],
    store: Store,
    settings: S3Settings,
    since: dt.date | None = None,
    until: dt.date | None = None,
) -> tuple[Day, ...]:
    """Return each day that has input or is published, in order.

    `input_uri` has `{date}` in it; `plan` is what a run would do today, but for the input.
    """
    first, last = since or dt.date.min, until or dt.date.max
    delivered, live = delivered_days(input_uri, store), live_partitions(table_uri, store, settings, first)
    repaired = repaired_days(table_uri, store)

    def judge(date: dt.date) -> Day:
        snapshot = delivered.get(date)
        repairs = (
            read_repairs(table_uri, date, snapshot, store) if snapshot and date in repaired else NO_REPAIRS
        )
        return _judge(date, snapshot, live.get(date), {**plan, "repairs_digest": repairs.digest})

    return tuple(judge(date) for date in sorted(delivered.keys() | live.keys()) if first <= date <= last)


def _judge(
    date: dt.date, snapshot: Snapshot | None, live: LivePartition | None, plan: Mapping[str, object]
) -> Day:
    if snapshot is None:
        return Day(date, State.NO_INPUT, live)
    wanted = {**plan, "snapshot_digest": snapshot.digest}
    if live is None:
        return Day(date, State.MISSING, None, wanted=wanted)
    changed = tuple(_CALLED[name] for name in wanted if live.plan[name] != wanted[name])
    return Day(date, State.STALE if changed else State.CURRENT, live, changed, wanted)


def delivered_days(input_uri: str, store: Store) -> dict[dt.date, Snapshot]:
    """Return what was delivered for each day, by one listing. What is not below a day is passed over."""
    head, _, tail = input_uri.partition("{date}")
    objects: dict[dt.date, list[ObjectVersion]] = {}
    for pinned in store.snapshot(head.rpartition("/")[0]).objects:
        day = pinned.uri[len(head) : len(head) + len("YYYY-MM-DD")]
        if pinned.uri.startswith(f"{head}{day}{tail}/") and _DAY.fullmatch(day):
            objects.setdefault(dt.date.fromisoformat(day), []).append(pinned)
    return {
        day: Snapshot(f"{head}{day}{tail}/", tuple(sorted(found, key=lambda o: o.uri)))
        for day, found in objects.items()
    }
