"""Cells of one column, as JSON, CSV or Parquet held them, to the numbers that a booster takes.

By way of float64, as MLflow does it: a whole number of 64 bits to float32 directly could round otherwise.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from serving.contract.refusals import cell_fault
from serving.contract.signature import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from serving.contract.refusals import Faults
    from serving.contract.signature import InputColumn

_NUMBERS = frozenset({float, int, type(None)})
_TEXTS = frozenset({str, type(None)})
_NAN = math.nan
_WHOLE = {Kind.LONG: 2**63, Kind.INTEGER: 2**31}


def encode_cells(values: Sequence[object], column: InputColumn, faults: Faults) -> npt.NDArray[np.float64]:
    """Return the numbers of one column, float64 of shape (rows,); NaN is a missing value.

    Missing are null, and a text that no category seen in training is. What cannot be told is added to
    `faults`, and is NaN in the result.
    """
    kinds = set(map(type, values))
    codes = column.codes
    if codes is None:
        if column.is_plain and kinds <= _NUMBERS:
            return np.array(values, dtype=np.float64)
    elif kinds <= _TEXTS:
        return np.array([codes.get(value, _NAN) for value in values], dtype=np.float64)  # type: ignore[call-overload]  # all are text or null
    numbers = np.full(len(values), _NAN)
    number_of = _number_of(column)
    wrong = []
    for row, value in enumerate(values):
        number = number_of(value)
        if number is None:
            wrong.append(row)
        else:
            numbers[row] = number
    faults.add(len(wrong), (cell_fault(row, column, values[row]) for row in wrong))
    return numbers


def _number_of(column: InputColumn) -> Callable[[object], float | None]:
    """Return what makes a number of a cell, or None of one that the column cannot hold."""
    codes = column.codes
    if codes is not None:

        def of_text(value: object) -> float | None:
            if value is None:
                return _NAN
            return codes.get(value, _NAN) if isinstance(value, str) else None

        return of_text
    if column.kind == Kind.BOOLEAN:
        return lambda value: float(value) if isinstance(value, bool) else None
    end = _WHOLE.get(column.kind)

    def of_number(value: object) -> float | None:
        if value is None:
            return None if end else _NAN
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        if end and not (value == value // 1 and -end <= value < end):
            return None
        return float(value)

    return of_number
