"""Rows of a Parquet or CSV file, as a stream of batches that remember each row's position."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from storage.csv_rows import RowBatch, read_csv
from storage.errors import UnreadableFileError
from storage.parquet_rows import group_rows, read_parquet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO


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
        for batch in _read_parquet(file, groups, columns) if ending == "parquet" else read_csv(file):
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
            f"{file_name} has the column {twice[0]!r} more than once; column names must be unique. Deliver"
            " it again"
        )


def _read_parquet(
    file: BinaryIO, groups: Sequence[int] | None, columns: Sequence[str] | None
) -> Iterator[RowBatch]:
    for start, table in read_parquet(file, groups, columns):
        yield RowBatch(table, np.arange(start, start + len(table)))
