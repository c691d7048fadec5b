"""Measuring: the facts of one column of one table in memory. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from expectations.facts import MOST_VALUES, ColumnFacts, smallest_of
from expectations.sampling import Sample

if TYPE_CHECKING:
    from typing import Any

    from expectations.facts import Kind

_OF_NUMBERS = ("whole", "low", "high", "total", "endless", "sample")
# Zeros in front are not a number's: a postal code has them.
_NUMBER = r"^-?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$"


def measure(
    name: str, found: pa.ChunkedArray, *, written: bool, label: pa.ChunkedArray | None
) -> ColumnFacts:
    """Measure a column; `written` says that it is a CSV's, whose values are all text and mean more.

    With `label`, the same rows of the label, it is told whether the two are equal.
    """
    column = _plain(found)
    kind = _kind(column.type)
    facts: dict[str, Any] = {"same_as_label": label is not None and _same(column, _plain(label))}
    if kind == "number":
        facts |= _of_numbers(column.cast(pa.float64(), safe=False))
    elif kind == "text":
        kind, of_text = _of_text(column, written=written)
        facts |= of_text
    elif kind == "time":
        facts |= _of_times(column)
    elif kind == "flag":
        facts["values"] = frozenset(pc.unique(column).drop_null().to_pylist())
    missing = facts.pop("missing", column.null_count)
    if missing == len(column):
        kind = "empty"
    return ColumnFacts(name, kind, len(column), missing, **facts)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    is_text = pa.types.is_large_string(column.type) or pa.types.is_string_view(column.type)
    return column.cast(pa.string()) if is_text else column


def _kind(found: pa.DataType) -> Kind:
    if pa.types.is_integer(found) or pa.types.is_floating(found) or pa.types.is_decimal(found):
        return "number"
    if pa.types.is_string(found):
        return "text"
    if pa.types.is_boolean(found):
        return "flag"
    if pa.types.is_date(found) or pa.types.is_timestamp(found):
        return "time"
    return "empty" if pa.types.is_null(found) else "other"


def _of_numbers(column: pa.ChunkedArray) -> dict[str, Any]:
    numbers = column.to_numpy()
    known = numbers[~np.isnan(numbers)]
    finite = known[np.isfinite(known)]
    whole = bool((known == np.floor(known)).all())
    unique = np.unique(known)
    with np.errstate(over="ignore"):  # then there is no mean that could be expected
        total = float(finite.sum())
    return {
        "missing": len(numbers) - len(known),
        "whole": whole,
        "low": float(finite.min()) if len(finite) else None,
        "high": float(finite.max()) if len(finite) else None,
        "total": total,
        "endless": len(finite) < len(known),
        "sample": Sample.of(finite),
        "values": frozenset(unique.tolist()) if len(unique) <= MOST_VALUES else None,
        **(_hashed(unique, len(known)) if whole else {}),
    }


def _of_text(column: pa.ChunkedArray, *, written: bool) -> tuple[Kind, dict[str, Any]]:
    known = column.drop_null()
    unique = pc.unique(known)
    lengths = pc.min_max(pc.utf8_length(known)).as_py()
    facts = {
        "shortest": lengths["min"],
        "longest": lengths["max"],
        "values": frozenset(unique.to_pylist()) if len(unique) <= MOST_VALUES else None,
        **_hashed(unique.to_numpy(zero_copy_only=False), len(known)),
    }
    if not written or not len(known):
        return "text", facts
    if pc.all(pc.match_substring_regex(known, _NUMBER)).as_py():
        parsed = known.to_numpy(zero_copy_only=False).astype(np.float64)
        numbers = _of_numbers(pa.chunked_array([parsed]))
        return "number", facts | {key: numbers[key] for key in _OF_NUMBERS}
    try:
        return "time", facts | _of_times(known)
    except pa.ArrowInvalid:
        return "text", facts


def _of_times(column: pa.ChunkedArray) -> dict[str, Any]:
    days = column.cast(pa.timestamp("us"), safe=pa.types.is_string(column.type)).cast(pa.date32(), safe=False)
    ends = pc.min_max(days).as_py()
    return {"first": ends["min"], "last": ends["max"], "values": None}


def _hashed(unique: Any, rows: int) -> dict[str, Any]:
    # pandas promises the same hash on every machine; two values of one hash are not met in practice.
    hashes = pd.util.hash_array(unique, categorize=False)
    return {"smallest": smallest_of(hashes), "hashes": (hashes,) if len(hashes) == rows else None}


def _same(column: pa.ChunkedArray, label: pa.ChunkedArray) -> bool:
    if column.equals(label):
        return True
    try:
        return bool(column.cast(pa.float64()).equals(label.cast(pa.float64())))
    except pa.ArrowException:
        return False
