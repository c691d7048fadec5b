"""Rows as delivered, turned into the types a model takes; what does not turn is a row's fault. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_jobs.errors import UnfitDataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

ColumnKind = Literal["number", "text"]

# No thousands separators, decimal commas, "NaN" or "inf": what is not plainly a number is not one.
_NUMBER = r"^\s*-?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$"
_SHOWN_CHARACTERS = 80
_NAMES_SHOWN = 400


@dataclass(frozen=True)
class Conformed:
    """`table` has the wanted columns, one row per row in.

    Text is strings; numbers are float64, or float32 where that was delivered.

    `faults` gives, for row numbers (from 0), one sentence per cell that is not of its kind; such a
    cell is null in `table`.
    """

    table: pa.Table
    faults: dict[int, list[str]]


def conform(raw: pa.Table, columns: Mapping[str, ColumnKind], file: str) -> Conformed:
    """Pick and type the wanted columns of a file, by name; other columns are passed over.

    Raises `UnfitDataError` where the file lacks a column or holds a wholly different type in it.
    """
    typed: dict[str, pa.ChunkedArray] = {}
    faults: dict[int, list[str]] = {}
    for name, kind in columns.items():
        if name not in raw.column_names:
            raise UnfitDataError(
                f"{file} has no column {name!r}; expected {', '.join(columns)}; found"
                f" {', '.join(map(repr, raw.column_names))[:_NAMES_SHOWN]}. Deliver it again"
            )
        values = _decoded(raw[name])
        if kind == "number" and pa.types.is_string(values.type):
            typed[name], wrong = _parsed(values)
            for row in wrong:
                shown = values[row].as_py()[:_SHOWN_CHARACTERS]
                faults.setdefault(row, []).append(f"{name} is {shown!r}, expected a number")
        elif kind == "number" and values.type == pa.float32():
            typed[name] = values  # half as much of it, and who needs doubles makes them
        elif _is_of_kind(values.type, kind):
            typed[name] = values.cast(pa.float64() if kind == "number" else pa.string(), safe=False)
        else:
            raise UnfitDataError(
                f"{file} holds {values.type} in the column {name!r}, expected {kind}. Deliver it again"
            )
    return Conformed(pa.table(typed), faults)


def _decoded(values: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    return values.cast(pa.string()) if pa.types.is_large_string(values.type) else values


def _is_of_kind(found: pa.DataType, kind: ColumnKind) -> bool:
    number = pa.types.is_integer(found) or pa.types.is_floating(found) or pa.types.is_decimal(found)
    empty = pa.types.is_null(found)
    if kind == "number":
        return bool(number or empty)
    # Whole numbers are good keys and category names; fractions and dates have no one spelling.
    return bool(pa.types.is_string(found) or pa.types.is_integer(found) or empty)


def _parsed(values: pa.ChunkedArray) -> tuple[pa.ChunkedArray, npt.NDArray[np.int64]]:
    is_number = pc.fill_null(pc.match_substring_regex(values, _NUMBER), fill_value=False)
    # By way of Python's own parser: Arrow's refuses the whole column for one 1e999.
    plain = pc.if_else(is_number, values, None).to_numpy(zero_copy_only=False)
    numbers = np.array([np.nan if v is None else float(v) for v in plain], dtype=np.float64)
    wrong = pc.and_(pc.is_valid(values), pc.invert(is_number))
    return (
        pa.chunked_array([pa.array(numbers, from_pandas=True)]),
        np.flatnonzero(wrong.to_numpy(zero_copy_only=False)),
    )
