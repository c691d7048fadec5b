"""Requeue: mended rows are handed in, held against what is quarantined, and kept as repairs of their day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batch_jobs.errors import UnfitDataError
from batch_jobs.live import live_partition
from batch_jobs.mending.handed_in import MOST_ROWS, WHERE, read_handed_in
from batch_jobs.mending.quarantine import input_columns
from batch_jobs.mending.repairs import Repair, keep, read_repairs, repair_notes
from batch_jobs.partition import QUARANTINED
from storage import data_uri, file_columns, live_files

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from batch_jobs.job import BatchJob
    from batch_jobs.mending.handed_in import HandedIn
    from batch_jobs.mending.repairs import Repairs
    from storage import S3Settings, Snapshot, Store


def hand_in(
    job: BatchJob,
    date: dt.date,
    location: str,
    store: Store,
    settings: S3Settings,
    environment: Mapping[str, str],
) -> str:
    """Keep the rows of a file as repairs of a day, if each is quarantined there; say what was done.

    The same rows again are not kept again. Raises `UnfitDataError` where a row is none to repair.
    """
    table_uri = data_uri(job.output, environment)
    found = read_handed_in(location, job.row_key, store)
    snapshot = store.snapshot(data_uri(job.input, environment).replace("{date}", str(date)))
    live = live_partition(table_uri, date, store, settings)
    if live is None:
        raise UnfitDataError(
            f"Nothing of {date} is published, so nothing of it is quarantined. Run it first: python -m"
            f" batch_jobs run {job.name} --date {date}"
        )
    known = read_repairs(table_uri, date, snapshot, store)
    if all(_is_known(known, where, cells) for where, cells in found.rows.items()):
        return f"The {len(found.rows):,} rows of {location} were handed in before"
    if live.plan["snapshot_digest"] != snapshot.digest:
        raise UnfitDataError(
            f"The input of {date} is not the one that its rows were quarantined from: it was delivered again."
            f" Run it, and repair what is quarantined then: python -m batch_jobs run {job.name} --date {date}"
        )
    _refuse_others(found, location, table_uri, date, store, settings)
    repairs = _bound(found, location, snapshot, store)
    if len(known) + len(repairs) > MOST_ROWS:
        raise UnfitDataError(
            f"{date} would have {len(known) + len(repairs):,} repaired rows, expected at most {MOST_ROWS:,}."
            " Have it delivered again"
        )
    told = {"file": location, "by": environment.get("MLFLOW_TRACKING_USERNAME", "")}
    notes = repair_notes(table_uri, date, store)
    notes.probe()
    name = keep(repairs, told, notes)
    return f"{len(repairs):,} rows of {location} are kept as repair {name} of {date}"


def _is_known(known: Repairs, where: tuple[str, int], cells: Mapping[str, str | None]) -> bool:
    file, position = where
    repair = known.rows.get(file, {}).get(position)
    return repair is not None and all(cells.get(name) == cell for name, cell in repair.cells.items())


def _refuse_others(
    found: HandedIn, location: str, table_uri: str, date: dt.date, store: Store, settings: S3Settings
) -> None:
    """Raise `UnfitDataError` unless every row is of the live partition, and quarantined."""
    wanted = set(found.rows)
    filters = [("date", "=", str(date)), ("outcome", "=", QUARANTINED)]
    for file in live_files(table_uri, filters, settings) or ():
        if not wanted:
            return
        table = file_columns(table_uri, file.path, WHERE, store)
        wanted.difference_update(zip(*(table[name].to_pylist() for name in WHERE), strict=True))
    if wanted:
        file_, position = min(wanted)
        raise UnfitDataError(
            f"{len(wanted):,} of {len(found.rows):,} rows of {location} are not quarantined on {date}, as"
            f" position {position} of {file_ or 'no file'}. Only what is quarantined can be repaired; nothing"
            " was kept"
        )


def _bound(found: HandedIn, location: str, snapshot: Snapshot, store: Store) -> list[Repair]:
    """Bind rows to the bytes of their files; each must have the columns of its own."""
    pinned = {each.uri: each for each in snapshot.objects}
    if moved := sorted({file for file, _ in found.rows} - pinned.keys()):
        raise UnfitDataError(
            f"{moved[0]} is not among the input now, which lies below {snapshot.prefix}. Run the day from"
            " there, and repair what is quarantined then"
        )
    columns = {file: input_columns(pinned[file], store) for file in sorted({file for file, _ in found.rows})}
    everything = {name for names in columns.values() for name in names}
    if unknown := [name for name in found.columns if name not in everything]:
        raise UnfitDataError(
            f"{location} has the column {unknown[0]!r}, which the input does not have; expected"
            f" {', '.join([*WHERE, *sorted(everything)])}"
        )
    for file, names in columns.items():
        if missing := [name for name in names if name not in found.columns]:
            raise UnfitDataError(
                f"{location} has no column {missing[0]!r}, which {file} has; expected whole rows"
            )
    return [
        Repair(file, pinned[file].etag, position, {name: cells[name] for name in columns[file]})
        for (file, position), cells in found.rows.items()
    ]
