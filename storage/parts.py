"""Parts: Parquet files that lie below a Delta table and are not in it yet; workers write them at once."""

from __future__ import annotations

import re
import tempfile
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from storage.errors import StorageError
from storage.part_stats import PartStats

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from storage.objects import Store

# Measured over a million rows: larger groups are hardly smaller, and this many are held in memory.
_GROUP_ROWS = 2**18


@dataclass(frozen=True)
class Part:
    """One written file: `path` relative to its table, and what a commit says of it.

    `stats` are per column, in Delta's words: `minValues`, `maxValues`, `nullCount`.
    """

    path: str
    size_bytes: int
    rows: int
    partition: Mapping[str, str]
    stats: Mapping[str, Any] = field(default_factory=dict)

    def to_plain(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        return asdict(self)

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Part:
        """Read back what `to_plain` returned; equal to the part that it was."""
        try:
            return cls(**data)
        except TypeError as error:
            raise StorageError(f"{data!r} is not the record of a part: {error}") from error


def file_schema(schema: pa.Schema, partition_by: Iterable[str]) -> pa.Schema:
    """Return what the files of a table hold: all but the partition columns."""
    outside = set(partition_by)
    return pa.schema([column for column in schema if column.name not in outside])


def write_part(
    table_uri: str,
    partition: Mapping[str, str],
    rows: Iterable[pa.RecordBatch] | pa.Table,
    schema: pa.Schema,
    store: Store,
) -> Part | None:
    """Stream `rows` into one file below a table; None, and no file, where there are no rows.

    `schema` is the table's; `partition` names the value of each partition column, in their order, and
    `rows` have all other columns. A column that comes as dictionary arrays is written as a dictionary, and
    where it is the same in every row it costs nothing. Nothing of the part is visible until it is
    committed. Raises `StorageError` where the rows do not have that schema.
    """
    import pyarrow.parquet as pq

    expected = file_schema(schema, partition)
    groups = _groups(rows, expected)
    first = next(groups, None)
    if first is None:
        return None
    encoded = _encoded(first.schema)
    stats = PartStats()
    name = f"part-{uuid.uuid4().hex}.zstd.parquet"
    folder = "/".join(f"{column}={_spelled(value)}" for column, value in partition.items())
    with tempfile.TemporaryDirectory(prefix="greenroom-") as scratch:
        path = Path(scratch) / name
        with pq.ParquetWriter(
            path,
            first.schema,
            compression="zstd",
            use_dictionary=encoded or False,
            column_encoding=_delta_encoded(first.schema),
            # Of columns with few values, the constant ones are known without looking at every row.
            write_statistics=[c.name for c in first.schema if not pa.types.is_dictionary(c.type)] or False,
            # The file shall say `string` where the table does, and not that it came as a dictionary.
            store_schema=False,
        ) as writer:
            while first is not None:
                writer.write_table(first, row_group_size=_GROUP_ROWS)
                stats.see(first)
                first = next(groups, None)
        footer = pq.read_metadata(path)
        uri = f"{table_uri}/{folder}/{name}" if folder else f"{table_uri}/{name}"
        store.upload(uri, path)
        return Part(
            path=uri.removeprefix(f"{table_uri}/"),
            size_bytes=path.stat().st_size,
            rows=footer.num_rows,
            partition=dict(partition),
            stats=stats.finish(footer),
        )


def _spelled(value: str) -> str:
    # For people alone: readers take the value from the log, and disagree about escapes in paths.
    return re.sub(r"[^A-Za-z0-9._-]", "_", value)


def _groups(rows: Iterable[pa.RecordBatch] | pa.Table, expected: pa.Schema) -> Iterator[pa.Table]:
    waiting: list[pa.Table] = []
    count = 0
    wanted: pa.Schema | None = None
    for batch in rows.to_batches() if isinstance(rows, pa.Table) else rows:
        if not len(batch):
            continue
        wanted = wanted or _written(batch.schema, expected)
        waiting.append(_fitted(pa.Table.from_batches([batch]), expected, wanted))
        count += len(batch)
        if count >= _GROUP_ROWS:
            together = pa.concat_tables(waiting)
            yield together.slice(0, _GROUP_ROWS).unify_dictionaries()
            waiting = [together.slice(_GROUP_ROWS)]
            count -= _GROUP_ROWS
    while any(map(len, waiting)):
        together = pa.concat_tables(waiting)
        yield together.slice(0, _GROUP_ROWS).unify_dictionaries()
        waiting = [together.slice(_GROUP_ROWS)]


def _written(found: pa.Schema, expected: pa.Schema) -> pa.Schema:
    def kind(column: pa.Field) -> pa.DataType:
        index = found.get_field_index(column.name)
        few = index >= 0 and pa.types.is_dictionary(found.field(index).type)
        return pa.dictionary(pa.int32(), column.type) if few else column.type

    return pa.schema([column.with_type(kind(column)) for column in expected])


def _fitted(table: pa.Table, expected: pa.Schema, wanted: pa.Schema) -> pa.Table:
    if sorted(table.column_names) != sorted(expected.names):
        raise StorageError(
            f"A part cannot be written: its rows have the columns {sorted(table.column_names)};"
            f" expected {sorted(expected.names)}"
        )
    for column in expected:
        kind = table.schema.field(column.name).type
        held = kind.value_type if pa.types.is_dictionary(kind) else kind
        if held != column.type and not pa.types.is_null(held):
            raise StorageError(
                f"A part cannot be written: its column {column.name!r} is {held}; expected {column.type}"
            )
    return table.select(expected.names).cast(wanted)


def _encoded(schema: pa.Schema) -> list[str]:
    """Name, in Parquet's words, the columns of few values: dictionaries, and what lists hold."""
    flat = [column.name for column in schema if pa.types.is_dictionary(column.type)]
    lists = [f"{column.name}.list.element" for column in schema if pa.types.is_list(column.type)]
    return flat + lists


def _delta_encoded(schema: pa.Schema) -> dict[str, str]:
    # Positions count up; a fifth of the file, for nothing.
    return {column.name: "DELTA_BINARY_PACKED" for column in schema if pa.types.is_integer(column.type)}
