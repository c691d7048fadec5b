"""Rows that are handed in to be scored in place of quarantined ones, and how quarantined ones are given out.

A file of rows has the columns `input_file`, `input_position` and those of the input. Spreadsheets take a cell
for a formula that begins with one of `= + - @`; in a CSV file, such a cell has an apostrophe before it.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from batch_jobs.errors import UnfitDataError
from storage import read_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import BinaryIO

    from storage import RowBatch, Store

WHERE = ("input_file", "input_position")
# What people read to mend a row; passed over when it is handed in.
ABOUT = ("quarantined_because", "quarantined_row")
# So many are a fault of the delivery, and not of rows.
MOST_ROWS = 20_000
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NUMBER = re.compile(r"-?[0-9.]+([eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class HandedIn:
    """Rows as they were handed in: the columns, and the cells of each row by file and position."""

    columns: tuple[str, ...]
    rows: Mapping[tuple[str, int], Mapping[str, str | None]]


def guarded(cell: str | None) -> str | None:
    """Return a cell that no spreadsheet takes for a formula; a number is none. `unguarded` undoes it."""
    if cell is None or _NUMBER.fullmatch(cell) or not _FORMULA.match(cell):
        return cell
    return f"'{cell}"


def unguarded(cell: str) -> str:
    """Return what `guarded` was given."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def read_handed_in(location: str, row_key: tuple[str, ...], store: Store) -> HandedIn:
    """Read a CSV or Parquet file: a local path, or an `s3://` URI.

    Raises `UnfitDataError`, or a `StorageError` where the file cannot be read.
    """
    rows: dict[tuple[str, int], Mapping[str, str | None]] = {}
    columns: tuple[str, ...] = ()
    with _open(location, store) as file:
        for batch in read_rows(file, location):
            columns = tuple(batch.table.column_names)
            for where, cells in _rows(batch, location, row_key):
                if where in rows:
                    raise UnfitDataError(
                        f"{location} repairs position {where[1]} of {where[0]} more than once; expected once"
                    )
                rows[where] = cells
            if len(rows) > MOST_ROWS:
                raise UnfitDataError(
                    f"{location} has more than {MOST_ROWS:,} rows; so many are mended where they come from."
                    " Have the day delivered again"
                )
    if not rows:
        raise UnfitDataError(f"{location} has no rows; expected at least 1")
    return HandedIn(tuple(name for name in columns if name not in WHERE + ABOUT), rows)


def _rows(
    batch: RowBatch, location: str, row_key: tuple[str, ...]
) -> Iterator[tuple[tuple[str, int], dict[str, str | None]]]:
    if missing := [name for name in WHERE if name not in batch.table.column_names]:
        raise UnfitDataError(
            f"{location} has no column {missing[0]!r}; expected {' and '.join(WHERE)}, which say what row"
            " each one replaces, and the columns of the input"
        )
    for broken in batch.broken:
        raise UnfitDataError(f"{location}: row {broken.position} {broken.reasons[0]}; mend that first")
    mended = unguarded if location.lower().endswith(".csv") else str
    for number, found in zip(batch.positions, batch.table.to_pylist(), strict=True):
        said = f"{location}: row {number}"
        texts = {name: _text(value, name, row_key, said) for name, value in found.items()}
        cells = {name: None if text is None else mended(text) for name, text in texts.items()}
        where = cells["input_file"] or "", _position(cells["input_position"], said)
        yield where, {name: cell for name, cell in cells.items() if name not in WHERE + ABOUT}


def _open(location: str, store: Store) -> BinaryIO:
    if "://" in location:
        return store.open(store.pin(location))
    try:
        return Path(location).open("rb")
    except OSError as error:
        raise UnfitDataError(f"{location} cannot be read: {error.strerror}") from error


def _text(value: object, name: str, row_key: tuple[str, ...], said: str) -> str | None:
    # A file that went through a CSV file, or through pandas, cannot tell these apart.
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and name in row_key:
        raise UnfitDataError(
            f"{said} has {value!r} in the key column {name!r}; expected text or a whole number"
        )
    return repr(value) if isinstance(value, float) else str(value)


def _position(text: str | None, said: str) -> int:
    if text is None or not text.isascii() or not text.isdecimal():
        raise UnfitDataError(f"{said} has the input_position {text!r}; expected a whole number, from 0")
    return int(text)


def unspelled(row: object) -> Iterator[tuple[str, str | None]]:
    """Yield the cells of a quarantined row, as it is kept; none where it was never split into cells."""
    for name, value in row.items() if isinstance(row, dict) else ():
        if value is None or isinstance(value, str):
            yield name, value
        else:
            yield name, json.dumps(value, ensure_ascii=False)
