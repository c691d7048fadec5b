"""Kernels: which rows of a batch do not meet an expectation, as Great Expectations has it. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.frames import to_series

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt
    import pandas as pd

    from expectations.streaming.columns import Columns
    from expectations.suite import Expectation

    Mask = npt.NDArray[np.bool_]
    Kernel = Callable[[Columns, Mapping[str, Any]], Mask | None]

# Doubles hold every whole number up to here.
_EXACT = 2.0**53
# Where the first values repeat so much, each different one is looked at once.
_PROBED, _REPEATED = 1024, 512


def failing(expectation: Expectation, columns: Columns) -> tuple[Mask, int] | None:
    """Return which rows do not meet an expectation with the role `ROWS`, and how many it looks at.

    None where a column's type or values are such that only Great Expectations says what they mean.
    """
    kind, kwargs = expectation.type, expectation.kwargs
    if kind in _PAIRS:
        return _pair(kind, kwargs, columns)
    name = expectation.columns[0]
    rows = columns.table.num_rows
    if kind in _OF_NULLS:
        if columns.kind(name) == "other" and not _has_plain_nulls(columns.plain(name).type):
            return None
        missing = columns.missing(name)
        absent = np.zeros(rows, np.bool_) if missing is None else missing
        return (absent if _OF_NULLS[kind] else ~absent), rows
    try:
        wrong = _ON_VALUES[kind](columns, kwargs)
    except (pa.ArrowException, re.error, TypeError, ValueError, OverflowError):
        # Great Expectations has the words for what cannot be evaluated.
        return None
    if wrong is None:
        return None
    missing = columns.missing(name)
    return (wrong if missing is None else wrong & ~missing), columns.present(name)


def _has_plain_nulls(found: pa.DataType) -> bool:
    return bool(pa.types.is_date(found) or pa.types.is_timestamp(found) or pa.types.is_binary(found))


def is_in(columns: Columns, name: str, values: list[Any]) -> Mask | None:
    """Return which values are in a list, by pandas' rules for equality; of missing ones nothing is said."""
    if columns.kind(name) not in ("float", "whole", "text"):
        return None
    found: Mask = columns.series(name).isin(values).to_numpy(dtype=np.bool_)
    return found


def _not_between(columns: Columns, kwargs: Mapping[str, Any]) -> Mask | None:
    kind = columns.kind(kwargs["column"])
    low, high = (_as_double(kwargs.get(key)) for key in ("min_value", "max_value"))
    if kind not in ("float", "whole"):
        return None
    if kind == "whole" and max(abs(low or 0), abs(high or 0)) >= _EXACT:
        return None
    # Great Expectations compares other types one by one, as doubles.
    singles = columns.singles(kwargs["column"])
    if singles is not None:
        return _outside_of_singles(singles, low, high, kwargs)
    return _outside(columns.numbers(kwargs["column"]).astype(np.float64, copy=False), low, high, kwargs)


def _outside_of_singles(
    numbers: npt.NDArray[np.float32], low: float | None, high: float | None, kwargs: Mapping[str, Any]
) -> Mask:
    """Say of float32 what would be said of the same as doubles, without making them."""
    # What is below a bound is below the next float32 from there upwards, and so on for the others.
    if low is not None:
        low = _as_single(low, upwards=not kwargs.get("strict_min"))
    if high is not None:
        high = _as_single(high, upwards=bool(kwargs.get("strict_max")))
    return _outside(numbers, low, high, kwargs)


def _as_single(bound: float, *, upwards: bool) -> float:
    """Return the nearest float32 that is not below a bound, or not above it."""
    with np.errstate(over="ignore"):
        single = np.float32(bound)
        if float(single) < bound and upwards:
            single = np.nextafter(single, np.float32(np.inf))
        if float(single) > bound and not upwards:
            single = np.nextafter(single, np.float32(-np.inf))
    return float(single)


def _outside(numbers: npt.NDArray[Any], low: Any, high: Any, kwargs: Mapping[str, Any]) -> Mask:
    # Not the inverse of what lies within: NaN is neither.
    wrong = []
    if low is not None:
        wrong.append(numbers <= low if kwargs.get("strict_min") else numbers < low)
    if high is not None:
        wrong.append(numbers >= high if kwargs.get("strict_max") else numbers > high)
    mask: Mask = wrong[0] | wrong[1] if len(wrong) > 1 else wrong[0]
    return mask


def _as_double(value: float | None) -> float | None:
    return None if value is None else float(value)


def _not_in_set(columns: Columns, kwargs: Mapping[str, Any]) -> Mask | None:
    found = is_in(columns, kwargs["column"], kwargs["value_set"])
    return None if found is None else ~found


def _in_set(columns: Columns, kwargs: Mapping[str, Any]) -> Mask | None:
    return is_in(columns, kwargs["column"], kwargs["value_set"])


def _of_wrong_length(columns: Columns, kwargs: Mapping[str, Any]) -> Mask | None:
    name = kwargs["column"]
    if columns.kind(name) == "text":
        lengths = pc.fill_null(pc.utf8_length(columns.plain(name)), 0).to_numpy(zero_copy_only=False)
    else:
        measured = _by_value(columns, name, lambda values: values.astype(str).str.len().to_numpy(), np.int64)
        if measured is None:
            return None
        lengths = measured
    if "value" in kwargs:
        mask: Mask = lengths != kwargs["value"]
        return mask
    return _outside(lengths, kwargs.get("min_value"), kwargs.get("max_value"), kwargs)


def _not_matching(columns: Columns, kwargs: Mapping[str, Any]) -> Mask | None:
    found = _matching(columns, kwargs)
    return None if found is None else ~found


def _matching(columns: Columns, kwargs: Mapping[str, Any]) -> Mask | None:
    regex = kwargs["regex"]
    pattern = re.compile(regex)

    def judge(values: pd.Series[Any]) -> npt.NDArray[Any]:
        text = values.astype(str)
        if pattern.groups:
            # pandas would warn of them, and to silence it is to change the warnings of all threads.
            return np.array([pattern.search(each) is not None for each in text], np.bool_)
        # pandas takes RE2 where it means the same as Python's `re`, and else the latter.
        return text.str.contains(regex).to_numpy(dtype=np.bool_)

    return _by_value(columns, kwargs["column"], judge, np.bool_)


def _by_value(
    columns: Columns, name: str, judge: Callable[[pd.Series[Any]], npt.NDArray[Any]], dtype: Any
) -> npt.NDArray[Any] | None:
    """Judge the values that are there, each different one once; nothing is said of missing ones."""
    kind = columns.kind(name)
    if kind not in ("float", "whole", "text"):
        return None
    values, missing = columns.plain(name), columns.missing(name)
    if missing is not None:
        values = values.filter(pa.array(~missing))
    if kind == "float":
        # As bits: 0.0 and -0.0 are equal, and not printed alike.
        bits = values.view(pa.int64() if values.type == pa.float64() else pa.int32())
        encoded = bits.dictionary_encode()
        different, places = encoded.dictionary.view(values.type), encoded.indices.to_numpy()
    elif kind == "whole" or pc.count_distinct(values[:_PROBED]).as_py() < _REPEATED:
        encoded = values.dictionary_encode()
        different, places = encoded.dictionary, encoded.indices.to_numpy()
    else:
        different, places = values, None
    judged = judge(to_series(name, pa.chunked_array([different]))).astype(dtype, copy=False)
    found = judged if places is None else judged[places]
    if missing is None:
        return found
    spread = np.zeros(len(missing), dtype)
    spread[~missing] = found
    return spread


def _pair(kind: str, kwargs: Mapping[str, Any], columns: Columns) -> tuple[Mask, int] | None:
    first, second = kwargs["column_A"], kwargs["column_B"]
    kinds = {columns.kind(first), columns.kind(second)}
    relation = "equal" if kind == "expect_column_pair_values_to_be_equal" else "greater"
    if relation == "greater" and kwargs.get("or_equal"):
        relation = "greater_equal"
    missing = [columns.missing(name) for name in (first, second)]
    none = np.zeros(columns.table.num_rows, np.bool_)
    if kinds == {"text"}:
        texts = (columns.plain(name).cast(pa.large_string()) for name in (first, second))
        compared = pc.fill_null(getattr(pc, relation)(*texts), fill_value=False)
        met = compared.to_numpy(zero_copy_only=False)
    elif kinds <= {"float", "whole"}:
        for name, absent in zip((first, second), missing, strict=True):
            if columns.kind(name) == "whole" and absent is not None:
                # Neither true nor false to pandas, and no answer to Great Expectations.
                return None
        met = getattr(np, relation)(columns.numbers(first), columns.numbers(second))
    else:
        return None
    one, other = (none if absent is None else absent for absent in missing)
    ignored = {"both_values_are_missing": one & other, "either_value_is_missing": one | other}.get(
        kwargs.get("ignore_row_if", "both_values_are_missing"), none
    )
    return ~met & ~ignored, int(np.count_nonzero(~ignored))


_PAIRS = {"expect_column_pair_values_a_to_be_greater_than_b", "expect_column_pair_values_to_be_equal"}

# Whether it is the missing values that fail.
_OF_NULLS = {"expect_column_values_to_not_be_null": True, "expect_column_values_to_be_null": False}

_ON_VALUES: Mapping[str, Kernel] = {
    "expect_column_value_lengths_to_be_between": _of_wrong_length,
    "expect_column_value_lengths_to_equal": _of_wrong_length,
    "expect_column_values_to_be_between": _not_between,
    "expect_column_values_to_be_in_set": _not_in_set,
    "expect_column_values_to_match_regex": _not_matching,
    "expect_column_values_to_not_be_in_set": _in_set,
    "expect_column_values_to_not_match_regex": _matching,
}
