"""Quarantined rows of a day, given out as a file that people mend and hand in again."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from batch_jobs.errors import JobFileError, UnfitDataError
from batch_jobs.live import live_partition
from batch_jobs.mending.handed_in import ABOUT, WHERE, guarded, unspelled
from batch_jobs.partition import QUARANTINED
from storage import data_uri, file_columns, live_files, read_rows

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from batch_jobs.job import BatchJob
    from storage import ObjectVersion, S3Settings, Store


def give_out(
    job: BatchJob,
    date: dt.date,
    out: Path,
    store: Store,
    settings: S3Settings,
    environment: Mapping[str, str],
) -> int:
    """Write the quarantined rows of a day to a CSV or Parquet file; return how many there are.

    Memory is bounded: the parts of the day are gone through one by one. Raises `UnfitDataError` where
    nothing of the day is published.
    """
    if out.suffix.lower() not in {".csv", ".parquet"}:
        raise JobFileError(f"--out is {str(out)!r}; expected a file whose name ends in .csv or .parquet")
    table_uri = data_uri(job.output, environment)
    if live_partition(table_uri, date, store, settings) is None:
        raise UnfitDataError(
            f"Nothing of {date} is published, so nothing of it is quarantined. Run it first: python -m"
            f" batch_jobs run {job.name} --date {date}"
        )
    filters = [("date", "=", str(date)), ("outcome", "=", QUARANTINED)]
    paths = [file.path for file in live_files(table_uri, filters, settings) or ()]
    names: dict[str, None] = {}
    unsplit: set[str] = set()
    for part in _parts(table_uri, paths, store):
        for row in part:
            names |= dict.fromkeys(name for name, _ in unspelled(row["row"]))
            if isinstance(row["row"], str):
                unsplit.add(row["input_file"])
    if unsplit:
        snapshot = store.snapshot(data_uri(job.input, environment).replace("{date}", str(date)))
        there = (pinned for pinned in snapshot.objects if pinned.uri in unsplit)
        names |= {name: None for pinned in there for name in input_columns(pinned, store)}
    columns = (*WHERE, *ABOUT, *names)
    parts = ([_laid_out(row, columns) for row in part] for part in _parts(table_uri, paths, store))
    beside = out.with_name(f".{out.name}.part")
    write = _write_csv if out.suffix.lower() == ".csv" else _write_parquet
    try:
        count = write(beside, columns, parts)
        beside.replace(out)
    except OSError as error:
        raise JobFileError(f"{out} cannot be written: {error.strerror}") from error
    return count


def input_columns(pinned: ObjectVersion, store: Store) -> tuple[str, ...]:
    """Return the columns of a file of the input."""
    groups = () if pinned.uri.lower().endswith(".parquet") else None
    return tuple(next(read_rows(store.open(pinned), pinned.uri, groups)).table.column_names)


def _parts(table_uri: str, paths: Sequence[str], store: Store) -> Iterator[list[dict[str, Any]]]:
    for path in paths:
        found = file_columns(table_uri, path, [*WHERE, "reasons", "row"], store)
        for batch in found.to_batches(10_000):
            yield [{**row, "row": json.loads(row["row"])} for row in batch.to_pylist()]


def _laid_out(row: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    cells = dict.fromkeys(columns) | dict(unspelled(row["row"])) | {name: row[name] for name in WHERE}
    because, line = ABOUT
    unsplit = row["row"] if isinstance(row["row"], str) else None
    return {**cells, because: "; ".join(row["reasons"]), line: unsplit}


def _write_csv(path: Path, columns: Sequence[str], parts: Iterator[list[dict[str, Any]]]) -> int:
    count = 0
    # Spreadsheets take a CSV file for UTF-8 if it begins with a byte order mark.
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for part in parts:
            for row in part:
                position = str(row["input_position"])
                writer.writerow([position if n == WHERE[1] else guarded(row[n]) for n in columns])
            count += len(part)
    return count


def _write_parquet(path: Path, columns: Sequence[str], parts: Iterator[list[dict[str, Any]]]) -> int:
    import pyarrow.parquet as pq

    schema = pa.schema([(name, pa.int64() if name == WHERE[1] else pa.string()) for name in columns])
    count = 0
    with pq.ParquetWriter(path, schema) as writer:
        for part in parts:
            writer.write_table(pa.Table.from_pylist(part, schema))
            count += len(part)
    return count
