"""Rows of a Parquet or CSV file, as a stream of batches that remember each row's position."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from storage.errors import UnreadableFileError
from storage.parquet_rows import group_rows, read_parquet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any, BinaryIO

    import numpy.typing as npt

_CSV_BLOCK_BYTES = 4 * 2**20


@dataclass(frozen=True)
class BrokenRow:
    """A row that cannot be split into the columns of its file. `position` counts from 0."""

    position: int
    text: str
    reason: str


@dataclass(frozen=True)
class RowBatch:
    """Consecutive rows: `table` holds the readable ones, at `positions` (int64, from 0) of the file.

    CSV columns are strings, as written; Parquet columns have the file's types.
    """

    table: pa.Table
    positions: npt.NDArray[np.int64]
    broken: tuple[BrokenRow, ...] = ()


def read_rows(
    file: BinaryIO,
    name: str,
    groups: Sequence[int] | None = None,
    columns: Sequence[str] | None = None,
) -> Iterator[RowBatch]:
    """Stream the rows of a file; its format is told by the ending of `name` (.parquet, .csv).

    `groups` reads only those row groups of a Parquet file, in ascending order; positions still count over
    the whole file. `columns` reads only those columns of one, in that order. A file with no rows yields one
    empty batch, so that its columns are known. Blank lines of a CSV file are no rows. Raises
    `UnreadableFileError`, naming the file, where the bytes are not of that format, or do not have those
    groups and columns.
    """
    with _named(name) as ending:
        if ending == "csv" and (groups is not None or columns is not None):
            raise pa.ArrowInvalid("only of Parquet files can some row groups or columns be read")
        for batch in _read_parquet(file, groups, columns) if ending == "parquet" else _read_csv(file):
            _refuse_duplicate_columns(batch.table.column_names, name)
            yield batch


def row_groups(file: BinaryIO, name: str) -> tuple[int, ...]:
    """Return how many rows each row group of a Parquet file has; only its footer is read.

    Raises `UnreadableFileError` as `read_rows` does. A CSV file has no row groups.
    """
    with _named(name) as ending:
        if ending != "parquet":
            raise pa.ArrowInvalid("only Parquet files have row groups")
        return group_rows(file)


@contextmanager
def _named(name: str) -> Iterator[str]:
    """Give the format that a name tells; say errors in the words of a file of that name."""
    ending = name.rsplit(".", 1)[-1].lower()
    if ending not in {"parquet", "csv"}:
        raise UnreadableFileError(
            f"{name} cannot be read: its name ends in {ending!r}; expected .parquet or .csv"
        )
    try:
        yield ending
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        found = " ".join(str(error).split())[:300]
        raise UnreadableFileError(
            f"{name} is not a whole {ending.upper()} file: {found}. Deliver it again"
        ) from error


def _refuse_duplicate_columns(names: list[str], file_name: str) -> None:
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise UnreadableFileError(
            f"{file_name} has the column {twice[0]!r} more than once; column names must be unique"
        )


def _read_parquet(
    file: BinaryIO, groups: Sequence[int] | None, columns: Sequence[str] | None
) -> Iterator[RowBatch]:
    for start, table in read_parquet(file, groups, columns):
        yield RowBatch(table, np.arange(start, start + len(table)))


def _read_csv(file: BinaryIO) -> Iterator[RowBatch]:
    from pyarrow import csv

    header = file.readline()
    if not header.strip():
        raise pa.ArrowInvalid("no header line found")
    if b"\0" in header:
        raise pa.ArrowInvalid("the header holds a NUL byte; expected UTF-8 text")
    names = csv.read_csv(pa.BufferReader(header)).column_names
    file.seek(0)
    broken: list[BrokenRow] = []

    def set_aside(row: Any) -> str:
        # The header is row 1 of the file; positions count data rows from 0.
        reason = f"has {row.actual_columns} columns, expected {row.expected_columns}"
        broken.append(BrokenRow(row.number - 2, row.text, reason))
        return "skip"

    reader = csv.open_csv(
        file,
        # Row numbers are known only to a single-threaded reader.
        read_options=csv.ReadOptions(use_threads=False, block_size=_CSV_BLOCK_BYTES),
        # Without `newlines_in_values`, a quoted value over lines is cut in two at the end of a block.
        parse_options=csv.ParseOptions(newlines_in_values=True, invalid_row_handler=set_aside),
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
        ),
    )
    start, yielded, table = 0, False, None
    for batch in reader:
        table = pa.Table.from_batches([batch])
        # The parser reads ahead: of the rows set aside so far, some lie behind this batch.
        span = np.arange(start, start + len(table) + len(broken))
        positions = np.setdiff1d(span, [row.position for row in broken], assume_unique=True)[: len(table)]
        start = int(positions[-1]) + 1 if len(positions) else start
        bad = tuple(row for row in broken if row.position < start)
        broken[:] = broken[len(bad) :]
        yielded = True
        yield RowBatch(table, positions, bad)
    if table is not None and _ends_inside_quotes(file, table):
        raise pa.ArrowInvalid("a quote is opened and never closed, so rows are lost in it")
    if broken or not yielded:
        yield RowBatch(reader.schema.empty_table(), np.arange(0), tuple(broken))


def _ends_inside_quotes(file: BinaryIO, last: pa.Table) -> bool:
    # Arrow takes everything behind an unclosed quote for one value. Only where the last value of the
    # file spans lines is it worth reading the file again, to count the quotes.
    value = last.column(last.num_columns - 1)[-1].as_py() if len(last) else None
    if value is None or not {"\n", "\r"} & set(value):
        return False
    file.seek(0)
    chunks = iter(lambda: file.read(_CSV_BLOCK_BYTES), b"")
    return sum(chunk.count(b'"') for chunk in chunks) % 2 == 1
