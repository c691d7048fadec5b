"""Many small files of a table become few, and its rows stay what they are.

deltalake's own `optimize` is not used: two that run at once both add all rows (1.6.6, measured).
"""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from storage.commit import rewrite_partition
from storage.delta import translated
from storage.errors import CommitConflictError, StorageError
from storage.footers import check_parts
from storage.objects import Store
from storage.parts import file_schema, write_part
from storage.vacuum import files_of

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from deltalake import DeltaTable

    from storage.parts import Part
    from storage.settings import S3Settings
    from storage.vacuum import LiveFile

# Each time that somebody changed the day meanwhile, all of it is read again; where they only wrote to another
# one, as recorders do all the time, what was read is committed on top of that.
_REREADS, _ATTEMPTS = 5, 60
_LONGEST_PAUSE_S = 1.0
# Rows that are held at once; deltalake would read ahead two million.
_BATCH_ROWS = 2**14


@dataclass(frozen=True)
class Compacted:
    """How many files were read, and how many were written in their place."""

    removed: int
    added: int


def compact_days(table_uri: str, before: dt.date, settings: S3Settings) -> Compacted | None:
    """Join the files of each partition `date` before a day into one; None where there is no such table.

    Readers and writers go on meanwhile: rows, and how often each writer has appended, are as before. The
    files that were joined stay until they are vacuumed. Raises `CommitConflictError` where a day is written
    to so often that it never comes to it; the days that are done are done.
    """
    from deltalake import DeltaTable

    with translated("compact", table_uri):
        if not DeltaTable.is_deltatable(table_uri, settings.delta_options()):
            return None
        table = DeltaTable(table_uri, storage_options=settings.delta_options())
        counts = Counter(file.partition["date"] for file in files_of(table))
    store = Store.connect(settings)
    # One file is as few as it gets.
    days = sorted(day for day, count in counts.items() if count > 1 and day < str(before))
    joined = [count for day in days if (count := _join(table, table_uri, day, store))]
    return Compacted(sum(joined), len(joined))


def _join(table: DeltaTable, table_uri: str, day: str, store: Store) -> int:
    """Join the files of a day; return how many there were, 0 where somebody else came first."""
    for _ in range(_REREADS):
        files = _files(table, table_uri, day)
        if len(files) <= 1:
            return 0  # somebody else joined them
        part = _write(table, table_uri, day, files, store)
        for attempt in range(_ATTEMPTS):
            if rewrite_partition(table, table_uri, part, ("date", day)):
                return len(files)
            time.sleep(random.uniform(0, min(_LONGEST_PAUSE_S, 0.02 * 2**attempt)))  # noqa: S311  # no secret
            if _files(table, table_uri, day) != files:
                break
    raise CommitConflictError(
        f"Could not compact {day} of {table_uri}: other commits came first, again and again. Nothing of that"
        " day was changed; try again"
    )


def _files(table: DeltaTable, table_uri: str, day: str) -> list[LiveFile]:
    """Return the files of a day in the newest version, which `table` is from now on."""
    with translated("compact", table_uri):
        table.update_incremental()
        found = [file for file in files_of(table) if file.partition == {"date": day}]
    return sorted(found, key=lambda file: file.path)


def _write(table: DeltaTable, table_uri: str, day: str, files: Sequence[LiveFile], store: Store) -> Part:
    """Write the rows of these files, which are those of the day in `table`, as one part."""
    partition = {"date": day}
    with translated("compact", table_uri):
        schema = pa.schema(table.schema().to_arrow())
        dataset = table.to_pyarrow_dataset(file_pruning_predicate=[("date", "=", day)])
        batches = dataset.to_batches(
            columns=file_schema(schema, partition).names,
            batch_size=_BATCH_ROWS,
            batch_readahead=1,
            fragment_readahead=1,
        )
        part = write_part(table_uri, partition, batches, schema, store)
    rows = sum(file.rows for file in files)
    if part is None or part.rows != rows:
        raise StorageError(
            f"The files of {day} in {table_uri} hold {part.rows if part else 0} rows, and its log says"
            f" {rows}. Nothing was changed"
        )
    check_parts(table_uri, [part], schema, ("date", day), ["date"], store)
    return part
