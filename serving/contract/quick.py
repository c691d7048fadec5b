"""The quick ways to read rows of plain cells, which is what nearly every request is made of.

They return None for everything else, wrong or only unusual: the thorough way then reads it, or says what is
wrong with it.
"""

from __future__ import annotations

import math
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from serving.contract.signature import Signature, Takes, Texts

_NAN = math.nan
_ABSENT = object()
_NUMBERS, _TEXTS = frozenset({float, int}), frozenset({str, type(None)})
_NUMBERS_OR_NULL = _NUMBERS | {type(None)}


def read_one(record: Any, signature: Signature) -> npt.NDArray[np.float32] | None:
    """Return the row of one record, float32 of shape (1, columns)."""
    if type(record) is not dict or len(record) != len(signature.cells):
        return None
    numbers = []
    for name, codes in signature.cells:
        value = record.get(name, _ABSENT)
        if value is None:
            numbers.append(_NAN)
        elif codes is not None:
            if type(value) is not str:
                return None
            numbers.append(codes.get(value, _NAN))
        elif type(value) is float or type(value) is int:
            numbers.append(value)
        else:
            return None
    return np.array([numbers], dtype=np.float64).astype(np.float32)


def read_records(records: list[Any], signature: Signature) -> npt.NDArray[np.float32] | None:
    """Return the rows of records, float32 of shape (rows, columns)."""
    if set(map(type, records)) != {dict}:
        return None
    if sum(map(len, records)) != len(records) * len(signature.columns):
        return None
    # As many keys as columns in all, and below no column that is missing: so none is unknown, either.
    return _read_cells(records, signature.numbers_by_name, signature.texts_by_name, signature)


def read_split(said: Any, signature: Signature) -> npt.NDArray[np.float32] | None:
    """Return the rows of `dataframe_split` whose columns are those of the model, in its order."""
    if type(said) is not dict or len(said) != 2 or said.get("columns") != signature.order:  # noqa: PLR2004
        return None
    rows = said.get("data")
    if type(rows) is not list or set(map(type, rows)) != {list}:
        return None
    if set(map(len, rows)) != {len(signature.columns)}:
        return None
    return _read_cells(rows, signature.numbers_by_place, signature.texts_by_place, signature)


def _read_cells(
    rows: list[Any], numbers_of: Takes, texts: Texts, signature: Signature
) -> npt.NDArray[np.float32] | None:
    matrix = np.empty((len(rows), len(signature.columns)), dtype=np.float32)
    try:
        if signature.numbers:
            cells = list(chain.from_iterable(map(numbers_of, rows)))
            kinds = set(map(type, cells))
            if kinds <= _NUMBERS:
                flat = np.fromiter(cells, np.float64, len(cells))
            elif kinds <= _NUMBERS_OR_NULL:
                flat = np.array(cells, dtype=np.float64)
            else:
                return None
            if not texts:
                return flat.reshape(len(rows), -1).astype(np.float32)
            matrix[:, signature.numbers] = flat.reshape(len(rows), -1)
        for place, key, codes in texts:
            values = [row[key] for row in rows]
            if not set(map(type, values)) <= _TEXTS:
                return None
            matrix[:, place] = [codes.get(value, _NAN) for value in values]
    except KeyError:
        return None
    return matrix
