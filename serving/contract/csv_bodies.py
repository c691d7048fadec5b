"""CSV bodies: a line of column names, then rows; what pandas reads as missing is missing here, too."""

from __future__ import annotations

import csv
import io
import math
import re
from typing import TYPE_CHECKING

from serving.contract.asked import Asked, check_rows
from serving.contract.json_bodies import encode
from serving.contract.refusals import (
    Fault,
    Faults,
    RequestError,
    refuse,
    wrong_names,
)
from serving.contract.signature import EXPECTED, Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from serving.contract.signature import InputColumn, Signature

# Cells that pandas.read_csv takes for missing, in columns of text and of numbers alike.
MISSING = frozenset((
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A",
    "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
))  # fmt: skip
_NUMBER = re.compile(r"[ \t]*[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?[ \t]*", re.ASCII)
_WHOLE_CHARACTERS = 20
_BOOLEANS = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}
_LONGEST_CELL = 131_072


def read_csv(body: bytes, signature: Signature, max_rows: int) -> Asked:
    """Read the rows of a CSV body. Raises `RequestError`, naming row and column where there is one."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequestError(
            f"The body is not UTF-8, which CSV has to be here: byte {error.start} is not"
        ) from None
    if "\0" in text:
        raise RequestError("The body holds a NUL character, which CSV has no use for")
    csv.field_size_limit(_LONGEST_CELL)
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(lines, [])
        _check_header(header, signature)
        rows: list[list[str]] = []
        for cells in lines:
            if not cells:
                continue  # an empty line
            if len(cells) != len(header):
                found = Fault(len(rows), None, f"{len(cells)} cells", f"{len(header)}, as the header has")
                raise refuse([found])
            rows.append(cells)
            if len(rows) > max_rows:
                break
    except csv.Error as error:
        raise RequestError(f"The body is not CSV: {error} (line {lines.line_num})") from None
    check_rows(len(rows), max_rows)
    return Asked(_encode(header, rows, signature))


def _encode(
    header: Sequence[str], rows: Sequence[Sequence[str]], signature: Signature
) -> npt.NDArray[np.float32]:
    known = {column.name: column for column in signature.columns}
    faults = Faults()
    columns = {
        name: _read_cells(cells, known[name], faults)
        for name, cells in zip(header, zip(*rows, strict=True), strict=True)
    }
    faults.check()
    return encode(len(rows), columns, signature)


def _read_cells(cells: Sequence[str], column: InputColumn, faults: Faults) -> list[object]:
    """Return the cells of a column as what they spell; what is no number is a fault."""
    if column.kind == Kind.STRING:
        return [None if cell in MISSING else cell for cell in cells]
    if column.kind == Kind.BOOLEAN:
        return [None if cell in MISSING else _BOOLEANS.get(cell, cell) for cell in cells]
    found: list[object] = []
    wrong = []
    for row, cell in enumerate(cells):
        number = None if cell in MISSING else _number(cell, column)
        if number is None and cell not in MISSING:
            wrong.append(row)
        found.append(number)
    faults.add(len(wrong), (_wrong_cell(row, cells[row], column) for row in wrong))
    return found


def _number(cell: str, column: InputColumn) -> float | None:
    if not _NUMBER.fullmatch(cell):
        return None
    number = float(cell)
    if math.isinf(number):
        return None
    # A whole number of 64 bits is not a float: two of them can be one float.
    is_whole = len(cell) <= _WHOLE_CHARACTERS and cell.strip().lstrip("+-").isdigit()
    return int(cell) if is_whole and not column.is_plain else number


def _wrong_cell(row: int, cell: str, column: InputColumn) -> Fault:
    found = "a number beyond 64 bits" if _NUMBER.fullmatch(cell) else "text"
    return Fault(row, column.name, found, EXPECTED[column.kind])


def _check_header(header: Sequence[str], signature: Signature) -> None:
    expected = f"expected a line of names first: {_names(signature)}"
    if not header:
        raise RequestError(f"The body is empty, {expected}")
    if signature.names.isdisjoint(header):
        # Then it may be a row of data, which is not to be repeated as if it were names.
        raise RequestError(f"The first line names no column of the model, {expected}")
    doubled = len(header) - len(set(header))
    if doubled:
        raise RequestError(f"The header names {doubled:,} columns more than once")
    faults = Faults()
    wrong_names(None, header, signature, faults)
    faults.check()


def _names(signature: Signature) -> str:
    return ",".join(column.name for column in signature.columns)
