"""Rows of Parquet files, row group by row group: no more of a file is held than a few of its groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from storage.expansion import rows_at_once

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any, BinaryIO

_BATCH_ROWS = 65_536
# Fetched ahead and at once, which is what makes ranged reads fast; small groups are read together.
_FETCH_BYTES = 32 * 2**20
# A group above this is fetched in pieces, column by column: half as fast, and bounded.
_LARGE_GROUP_BYTES = 128 * 2**20
_PIECE_BYTES = 4 * 2**20


def group_rows(file: BinaryIO) -> tuple[int, ...]:
    """Return the number of rows in each row group, from the footer alone."""
    import pyarrow.parquet as pq

    footer = pq.read_metadata(file)
    return tuple(footer.row_group(group).num_rows for group in range(footer.num_row_groups))


def read_parquet(
    file: BinaryIO, groups: Sequence[int] | None, columns: Sequence[str] | None
) -> Iterator[tuple[int, pa.Table]]:
    """Yield tables of consecutive rows, each with the position of its first row in the whole file.

    `groups` are row groups in ascending order, all by default. Where there is no row, one empty table.
    """
    import pyarrow.parquet as pq

    parquet = pq.ParquetFile(file)
    footer = parquet.metadata
    _refuse_unknown(groups, columns, footer.num_row_groups, parquet.schema_arrow)
    if any(_group_bytes(footer, group) > _LARGE_GROUP_BYTES for group in range(footer.num_row_groups)):
        parquet = pq.ParquetFile(file, metadata=footer, pre_buffer=False, buffer_size=_PIECE_BYTES)
    starts = np.cumsum([0, *(footer.row_group(group).num_rows for group in range(footer.num_row_groups))])
    delivered = parquet.schema_arrow
    schema = _without_views(delivered)
    names = list(schema.names if columns is None else columns)
    empty = True
    for together in _runs(footer, range(footer.num_row_groups) if groups is None else groups):
        start = int(starts[together[0]])
        # Of a whole file in one go, every byte that was fetched would be kept until its end.
        rows = rows_at_once(file, footer, together, _BATCH_ROWS)
        for batch in parquet.iter_batches(rows, row_groups=together, columns=columns):
            table = pa.Table.from_batches([batch])
            if schema is not delivered:
                table = pa.table({name: table[name].cast(schema.field(name).type) for name in names})
            yield start, table if columns is None else table.select(names)
            start += len(batch)
            empty = False
    if empty:
        nothing = schema.empty_table()
        yield 0, nothing if columns is None else nothing.select(names)


def _without_views(schema: pa.Schema) -> pa.Schema:
    """Return a schema without the types that much of Arrow cannot work with; the same, if it has none."""
    plain = {str(pa.string_view()): pa.string(), str(pa.binary_view()): pa.binary()}
    if plain.keys().isdisjoint(str(column.type) for column in schema):
        return schema
    return pa.schema([column.with_type(plain.get(str(column.type), column.type)) for column in schema])


def _runs(footer: Any, groups: Sequence[int]) -> Iterator[list[int]]:
    """Put neighbours together, as many as are fetched at once."""
    run: list[int] = []
    held = 0
    for group in groups:
        size_bytes = _group_bytes(footer, group)
        if run and (group != run[-1] + 1 or held + size_bytes > _FETCH_BYTES):
            yield run
            run, held = [], 0
        run.append(group)
        held += size_bytes
    if run:
        yield run


def _group_bytes(footer: Any, group: int) -> int:
    described = footer.row_group(group)
    return sum(described.column(index).total_compressed_size for index in range(described.num_columns))


def _refuse_unknown(
    groups: Sequence[int] | None, columns: Sequence[str] | None, count: int, schema: pa.Schema
) -> None:
    strange = [group for group in groups or () if not 0 <= group < count]
    if strange:
        raise pa.ArrowInvalid(f"it has {count} row groups, and not one numbered {strange[0]} (from 0)")
    wrong = [name for name in columns or () if schema.names.count(name) != 1]
    if wrong:
        raise pa.ArrowInvalid(
            f"it has the column {wrong[0]!r} {schema.names.count(wrong[0])} times, expected once;"
            f" its columns are {', '.join(schema.names)[:200]}"
        )
