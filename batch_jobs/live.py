"""What is live of the table of predictions: from columns of its files, not from its history."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batch_jobs.partition import PLAN_COLUMNS, QUARANTINED, SCORED
from storage import first_rows, live_files

if TYPE_CHECKING:
    from storage import LiveFile, S3Settings, Store

# So many days before say what is usual.
_DAYS_BEFORE = 14


@dataclass(frozen=True)
class LivePartition:
    """What is live of a partition: the plan it was made by, in which run, and its counts."""

    plan: dict[str, object]
    run_id: str
    scored: int
    quarantined: int

    @property
    def counts(self) -> dict[str, float]:
        """The counts, as they are recorded."""
        rows = self.scored + self.quarantined
        return {"rows": rows, "scored": self.scored, "quarantined": self.quarantined}


def live_partition(table_uri: str, date: dt.date, store: Store, settings: S3Settings) -> LivePartition | None:
    """Read what a partition was made from; None where there is none of that day."""
    found = _read(table_uri, [("date", "=", str(date))], store, settings)
    return found.get(date)


def live_partitions(
    table_uri: str, store: Store, settings: S3Settings, since: dt.date = dt.date.min
) -> dict[dt.date, LivePartition]:
    """Read what each partition since a day was made from; a file of each is opened."""
    return _read(table_uri, [], store, settings, since)


def _read(
    table_uri: str,
    filters: list[tuple[str, str, str]],
    store: Store,
    settings: S3Settings,
    since: dt.date = dt.date.min,
) -> dict[dt.date, LivePartition]:
    files: dict[str, list[LiveFile]] = {}
    for file in live_files(table_uri, filters, settings) or ():
        if file.rows and file.partition["date"] >= str(since):
            files.setdefault(file.partition["date"], []).append(file)
    # All rows of a partition are of one commit, so one row of it says what they were made from.
    paths = [found[0].path for found in files.values()]
    rows = first_rows(table_uri, paths, [*PLAN_COLUMNS, "run_id"], store)
    return {
        dt.date.fromisoformat(day): LivePartition(
            plan={name: row[name] for name in PLAN_COLUMNS},
            run_id=str(row["run_id"]),
            scored=sum(file.rows for file in found if file.partition["outcome"] == SCORED),
            quarantined=sum(file.rows for file in found if file.partition["outcome"] == QUARANTINED),
        )
        for (day, found), row in zip(files.items(), rows, strict=True)
        if row is not None
    }


def rows_before(table_uri: str, date: dt.date, settings: S3Settings) -> tuple[int, ...]:
    """Return the rows of the newest days before a day, as far as they are live."""
    rows: dict[str, int] = {}
    for file in live_files(table_uri, [], settings) or ():
        rows[file.partition["date"]] = rows.get(file.partition["date"], 0) + file.rows
    return tuple(rows[day] for day in sorted(rows) if day < str(date))[-_DAYS_BEFORE:]
