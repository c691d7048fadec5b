"""How much a row group grows when it is read: a file of a few kilobytes can be terabytes of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, BinaryIO

_READ_BYTES = 64 * 2**20
_BUFFER_BYTES = 2**16
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
        names = [name for name in map(_may_grow, _columns(footer.row_group(group), most)) if name]
        if not names:
            continue
        parquet = pq.ParquetFile(
            file, metadata=footer, read_dictionary=names, pre_buffer=False, buffer_size=_BUFFER_BYTES
        )
        first = next(parquet.iter_batches(1, row_groups=[group], columns=names), None)
        if first is None:
            continue
        found = [c.dictionary for c in first.columns if pa.types.is_dictionary(c.type)]
        longest = sum(pc.max(pc.binary_length(values)).as_py() or 0 for values in found)
        most = min(most, max(1, _READ_BYTES // max(1, longest)))
    return most


def _columns(group: Any, rows: int) -> Iterable[Any]:
    for index in range(group.num_columns):
        column = group.column(index)
        if min(rows, group.num_rows) * column.total_uncompressed_size > _READ_BYTES:
            yield column


def _may_grow(column: Any) -> str | None:
    if column.physical_type != "BYTE_ARRAY" or not column.has_dictionary_page or "." in column.path_in_schema:
        return None
    stats = column.statistics
    ends = (stats.min, stats.max) if stats is not None and stats.has_min_max else (None, None)
    short = all(isinstance(end, (str, bytes)) and len(end) <= _SHORT_BYTES for end in ends)
    stored = column.total_uncompressed_size >= _STORED_BYTES * column.num_values
    return None if short and stored else column.path_in_schema
