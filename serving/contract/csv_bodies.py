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
    RequestError,
    missing_column,
    refuse,
    spelled_name,
    unknown_column,
)
from serving.contract.signature import EXPECTED, Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from serving.contract.signature import InputColumn, Signature

# Cells that pandas.read_csv takes for missing, in columns of text and of numbers alike.
_MISSING = frozenset((
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
    faults: list[Fault] = []
    columns = {
        name: [_cell(cell, row, known[name], faults) for row, cell in enumerate(cells)]
        for name, cells in zip(header, zip(*rows, strict=True), strict=True)
    }
    if faults:
        raise refuse(sorted(faults, key=lambda fault: fault.row or 0))
    return encode(columns, signature)


def _cell(cell: str, row: int, column: InputColumn, faults: list[Fault]) -> object:
    if cell in _MISSING:
        return None
    if column.kind == Kind.STRING:
        return cell
    if column.kind == Kind.BOOLEAN:
        return _BOOLEANS.get(cell, cell)
    if not _NUMBER.fullmatch(cell):
        faults.append(Fault(row, column.name, "text", EXPECTED[column.kind]))
        return None if column.is_plain else 0
    number = float(cell)
    if math.isinf(number):
        faults.append(Fault(row, column.name, "a number beyond 64 bits", EXPECTED[column.kind]))
        return None if column.is_plain else 0
    # A whole number of 64 bits is not a float: two of them can be one float.
    is_whole = len(cell) <= _WHOLE_CHARACTERS and cell.strip().lstrip("+-").isdigit()
    return int(cell) if is_whole and not column.is_plain else number


def _check_header(header: Sequence[str], signature: Signature) -> None:
    if not header:
        raise RequestError(f"The body is empty, expected a line of names first: {_names(signature)}")
    doubled = sorted({name for name in header if header.count(name) > 1})
    if doubled:
        raise RequestError(
            f"The header names {', '.join(map(repr, map(spelled_name, doubled)))} more than once"
        )
    faults = [missing_column(None, c) for c in signature.columns if c.required and c.name not in header]
    faults += [unknown_column(None, name, signature.names) for name in header if name not in signature.names]
    if faults:
        raise refuse(faults)


def _names(signature: Signature) -> str:
    return ",".join(column.name for column in signature.columns)
