"""How much a row group grows when it is read: a file of a few kilobytes can be terabytes of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, BinaryIO

_READ_BYTES = 64 * 2**20
_BUFFER_BYTES = 2**16
_NESTED_ROWS = 1024
# A column whose values are stored one by one, and are short as far as the footer says, cannot grow much.
_STORED_BYTES = 4
_SHORT_BYTES = 64


def rows_at_once(file: BinaryIO, footer: Any, groups: Iterable[int], most: int) -> int:
    """Return how many rows, at most `most`, can be read at once in bounded memory.

    A dictionary holds a long text once, and every row may refer to it. The dictionaries are read first, of
    those columns that may grow by that.
    """
    import pyarrow.parquet as pq

    for group in groups:
        described = footer.row_group(group)
        growing = [column for column in _columns(described, most) if _may_grow(column)]
        if not growing:
            continue
        names = [column.path_in_schema for column in growing]
        parquet = pq.ParquetFile(
            file, metadata=footer, read_dictionary=names, pre_buffer=False, buffer_size=_BUFFER_BYTES
        )
        # The first row brings all of a dictionary with it, but for a list that is empty.
        rows = _NESTED_ROWS if any("." in name for name in names) else 1
        first = next(parquet.iter_batches(rows, row_groups=[group], columns=names), None)
        found = [each for column in first.columns for each in _dictionaries(column)] if first else []
        longest = sum(pc.max(pc.binary_length(values)).as_py() or 0 for values in found)
        per_row = max(1, *(-(-column.num_values // described.num_rows) for column in growing))
        most = min(most, max(1, _READ_BYTES // max(1, longest * per_row)))
    return most


def _dictionaries(values: pa.Array) -> Iterator[pa.Array]:
    kind = values.type
    if pa.types.is_dictionary(kind):
        yield values.dictionary
    elif pa.types.is_struct(kind):
        for index in range(kind.num_fields):
            yield from _dictionaries(values.field(index))
    elif pa.types.is_map(kind):
        yield from _dictionaries(values.keys)
        yield from _dictionaries(values.items)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        yield from _dictionaries(values.values)


def _columns(group: Any, rows: int) -> Iterable[Any]:
    for index in range(group.num_columns):
        column = group.column(index)
        if min(rows, group.num_rows) * column.total_uncompressed_size > _READ_BYTES:
            yield column


def _may_grow(column: Any) -> bool:
    if column.physical_type != "BYTE_ARRAY" or not column.has_dictionary_page:
        return False
    stats = column.statistics
    ends = (stats.min, stats.max) if stats is not None and stats.has_min_max else (None, None)
    short = all(isinstance(end, (str, bytes)) and len(end) <= _SHORT_BYTES for end in ends)
    return not (short and column.total_uncompressed_size >= _STORED_BYTES * column.num_values)
