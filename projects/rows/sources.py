"""What upstream delivered: the objects that a part of a project's rows is made of."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from projects.errors import UnfitTrainingDataError
from projects.parts import Window
from storage import Snapshot, data_uri

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from projects.declaration import Project
    from projects.parts import Part
    from storage import ObjectVersion, Store

# A project whose `time` is this one has its days in the names of its partitions, date=YYYY-MM-DD.
PARTITION = "date"

_DAY = re.compile(r"/date=(\d{4}-\d{2}-\d{2})/")


@dataclass(frozen=True)
class Sources:
    """The objects that a part of a project's rows is made of.

    Without `outcomes`, the label lies with the features.
    """

    features: Snapshot
    outcomes: Snapshot | None

    @property
    def all(self) -> dict[str, Snapshot]:
        """Both by name, as far as they are there."""
        return {"features": self.features, **({"outcomes": self.outcomes} if self.outcomes else {})}


def find_sources(project: Project, part: Part, store: Store, environment: Mapping[str, str]) -> Sources:
    """Pin the objects of a part.

    Raises `UnfitTrainingDataError` where there are none, or days are missing or still to come.
    """
    if isinstance(part, Window):
        _refuse_future(part)
    found = {}
    window = part if isinstance(part, Window) and project.time == PARTITION else None
    for name, location in project.sources.items():
        snapshot = store.snapshot(data_uri(location, environment))
        found[name] = _within(snapshot, window) if window else snapshot
        if not found[name].objects:
            expected = "files date=YYYY-MM-DD/…" if window else "Parquet or CSV files"
            raise UnfitTrainingDataError(
                f"There is no data for {part} under {snapshot.prefix}; expected {expected}. Choose another"
                " window, or deliver them"
            )
    if window:
        for snapshot in found.values():
            _refuse_cut(snapshot, window)
    return Sources(found["features"], found.get("outcomes"))


def still_to_come(day: dt.date) -> bool:
    """Say whether a day has begun nowhere on Earth."""
    return day > dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)


def by_day(objects: Iterable[ObjectVersion]) -> dict[str, list[ObjectVersion]]:
    """Group objects by the date of their partition, YYYY-MM-DD; empty where they have none."""
    found: dict[str, list[ObjectVersion]] = {}
    for pinned in objects:
        day = _DAY.search(pinned.uri)
        found.setdefault(day[1] if day else "", []).append(pinned)
    return found


def _within(snapshot: Snapshot, window: Window) -> Snapshot:
    def inside(uri: str) -> bool:
        day = _DAY.search(uri)
        return day is not None and str(window.since) <= day[1] <= str(window.until)

    return Snapshot(snapshot.prefix, tuple(o for o in snapshot.objects if inside(o.uri)))


def _refuse_future(window: Window) -> None:
    if still_to_come(window.until):
        raise UnfitTrainingDataError(
            f"The window {window} goes to days that are still to come, whose outcomes nobody knows. Choose"
            " one that has ended"
        )


def _refuse_cut(snapshot: Snapshot, window: Window) -> None:
    days = {match[1] for o in snapshot.objects if (match := _DAY.search(o.uri))}
    # A day inside may well have no rows; a window that ends before it says would be a false record.
    for day in (window.since, window.until):
        if str(day) not in days:
            raise UnfitTrainingDataError(
                f"The window {window} is not all there: under {snapshot.prefix} is no {day}, data goes from"
                f" {min(days)} to {max(days)}. Choose another window, or deliver the rest"
            )
