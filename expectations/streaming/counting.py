"""Counting: what one batch says of an expectation on all rows. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from expectations.divergence import bin_counts
from expectations.reasons import not_evaluated
from expectations.streaming.kernels import is_in
from expectations.streaming.moments import Moments
from expectations.streaming.tally import CheckTally
from expectations.streaming.values import ValueCounts

if TYPE_CHECKING:
    import numpy.typing as npt

    from expectations.streaming.columns import Columns
    from expectations.suite import Expectation

MOMENTS = {
    f"expect_column_{figure}_to_be_between": figure for figure in ("max", "mean", "min", "stdev", "sum")
}
DISTINCT = {f"expect_column_distinct_values_to_{relation}_set" for relation in ("be_in", "contain", "equal")}
_COUNTED = {
    "expect_column_kl_divergence_to_be_less_than",
    "expect_column_unique_value_count_to_be_between",
}


def count(expectation: Expectation, columns: Columns) -> CheckTally:
    """Count what an expectation with the role `WHOLE` needs to know of a batch that has its columns."""
    if expectation.type in MOMENTS:
        return _moments(expectation, columns)
    if expectation.type in DISTINCT:
        return _distinct(expectation, columns)
    if expectation.type in _COUNTED:
        binned = "bins" in expectation.kwargs.get("partition_object", ())
        return _binned(expectation, columns) if binned else _valued(expectation, columns)
    if expectation.type == "expect_column_proportion_of_non_null_values_to_be_between":
        rows = columns.table.num_rows
        return CheckTally(considered=rows, unexpected=rows - columns.present(expectation.columns[0]))
    return CheckTally()


def _moments(expectation: Expectation, columns: Columns) -> CheckTally:
    name = expectation.columns[0]
    kind = columns.kind(name)
    if kind in ("float", "whole", "flag"):
        numbers = columns.numbers(name)
    elif pa.types.is_decimal(columns.plain(name).type):
        numbers = columns.plain(name).cast(pa.float64()).to_numpy(zero_copy_only=False)
    else:
        return _unfit(expectation, columns, "numbers")
    missing = columns.missing(name)
    if missing is not None:
        numbers = numbers[~missing]
    return CheckTally(len(numbers), moments=Moments.of(_as_numbers(numbers)))


def _as_numbers(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if values.dtype == np.float32:
        return values.astype(np.float64)
    # Booleans with nulls arrive as objects.
    return values.astype(np.int64) if values.dtype.kind in "bO" else values


def _distinct(expectation: Expectation, columns: Columns) -> CheckTally:
    name, values = expectation.columns[0], expectation.kwargs["value_set"]
    found = is_in(columns, name, values)
    if found is None:
        return _unfit(expectation, columns, "numbers or text")
    missing = columns.missing(name)
    if missing is not None:
        found = found & ~missing
    considered = columns.present(name)
    # Only of values of the set, so that a column of keys costs no more than one of categories.
    seen = ValueCounts.of(columns.plain(name).filter(pa.array(found)))
    return CheckTally(considered, considered - int(np.count_nonzero(found)), values=seen)


def _valued(expectation: Expectation, columns: Columns) -> CheckTally:
    name = expectation.columns[0]
    if columns.kind(name) not in ("float", "whole", "text", "flag"):
        return _unfit(expectation, columns, "numbers, text or booleans")
    return CheckTally(columns.present(name), values=ValueCounts.of(_present(columns, name)))


def _binned(expectation: Expectation, columns: Columns) -> CheckTally:
    name = expectation.columns[0]
    if columns.kind(name) not in ("float", "whole"):
        return _unfit(expectation, columns, "numbers")
    numbers, missing = columns.numbers(name), columns.missing(name)
    if missing is not None:
        numbers = numbers[~missing]
    counts: dict[Any, int] = bin_counts(numbers, expectation.kwargs["partition_object"]["bins"])
    return CheckTally(len(numbers), values=ValueCounts(counts))


def _present(columns: Columns, name: str) -> pa.Array:
    missing = columns.missing(name)
    values = columns.plain(name)
    return values if missing is None else values.filter(pa.array(~missing))


def _unfit(expectation: Expectation, columns: Columns, expected: str) -> CheckTally:
    kinds = [columns.table.field(name).type for name in expectation.columns]
    return CheckTally(trouble=not_evaluated(expectation, kinds, f"batch by batch, it takes {expected}"))
