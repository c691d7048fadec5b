"""Tables that are written once: one file, one commit, its rows in the order they came in."""

from __future__ import annotations

import json
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from storage.delta import translated
from storage.objects import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pyarrow.dataset import Dataset

    from storage.settings import S3Settings

_GROUP_ROWS = 65_536
# What was written once is this version, whatever somebody committed to the table later.
VERSION = 0


@dataclass(frozen=True)
class Written:
    """A table that is there: how many rows it says it has, and what its writer said of them."""

    rows: int
    said: str


def write_once(
    table_uri: str,
    schema: pa.Schema,
    rows: Iterable[pa.RecordBatch],
    settings: S3Settings,
    say: Callable[[], str] = lambda: "",
) -> Written:
    """Stream `rows` into a table of one commit; `say`, asked after the last row, describes it.

    Delta's own writer is parallel, and mixes batches. Raises `CommitConflictError` where there is a table
    already, then or meanwhile. Nothing is visible unless all of it is.
    """
    import pyarrow.parquet as pq
    from deltalake import CommitProperties, Schema
    from deltalake.transaction import AddAction, create_table_with_add_actions

    count, name = 0, f"part-{uuid.uuid4().hex}.zstd.parquet"
    with tempfile.TemporaryDirectory(prefix="greenroom-") as scratch:
        path = Path(scratch) / name
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            # A row group for each few rows of a day would be slow to read.
            for table in _cut(rows, _GROUP_ROWS):
                writer.write_table(table)
                count += len(table)
        size_bytes = path.stat().st_size
        Store.connect(settings).upload(f"{table_uri}/{name}", path)
    said = say()
    added = AddAction(
        path=name,
        size=size_bytes,
        partition_values={},
        modification_time=int(time.time() * 1000),
        data_change=True,
        stats=json.dumps({"numRecords": count}),
    )
    # Whoever loses leaves a file that no table names. It is not deleted: a commit whose answer was lost
    # looks like one that lost, and then the table does name it.
    with translated("write", table_uri):
        create_table_with_add_actions(
            table_uri,
            Schema.from_arrow(schema),
            [added],
            mode="error",
            description=said,
            storage_options=settings.delta_options(),
            # Tried again, a commit that came second would add its rows to those of the first.
            commit_properties=CommitProperties(max_commit_retries=0),
        )
    return Written(count, said)


def find_written(table_uri: str, settings: S3Settings) -> Written | None:
    """Return what `write_once` wrote; None where there is no such table. Its file may be gone, though."""
    from deltalake import DeltaTable

    with translated("read", table_uri):
        if not DeltaTable.is_deltatable(table_uri, settings.delta_options()):
            return None
        table = DeltaTable(table_uri, VERSION, storage_options=settings.delta_options())
        counts = pa.table(table.get_add_actions(flatten=True))["num_records"].to_pylist()
        return Written(sum(map(int, counts)), table.metadata().description or "")


def stream_rows(
    table_uri: str, columns: Sequence[str], batch_rows: int, settings: S3Settings
) -> Iterator[pa.Table]:
    """Yield the rows that `write_once` wrote, in order, in tables of `batch_rows`; the last is shorter."""
    from deltalake import DeltaTable

    with translated("read", table_uri):
        table = DeltaTable(table_uri, VERSION, storage_options=settings.delta_options())
        yield from _cut(_groups(table.to_pyarrow_dataset(), list(columns)), batch_rows)


def _groups(dataset: Dataset, columns: list[str]) -> Iterator[pa.RecordBatch]:
    # A scan of a whole file keeps every byte that it fetched until its end: as much memory as the file
    # has. To fetch no more than a few pages at once takes three times as long.
    for fragment in dataset.get_fragments():
        for group in fragment.split_by_row_group():
            yield from group.to_batches(columns=columns, batch_size=_GROUP_ROWS)


def _cut(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.Table]:
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(map(len, waiting)) >= rows:
            together = pa.Table.from_batches(waiting)
            whole = len(together) - len(together) % rows
            yield from (together.slice(start, rows) for start in range(0, whole, rows))
            waiting = together.slice(whole).to_batches()
    if any(map(len, waiting)):
        yield pa.Table.from_batches(waiting)
