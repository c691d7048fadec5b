"""Refusals: expectations that no batch can tell of, and what says nearly the same. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from expectations.errors import SuiteError
from expectations.streaming.forms import known_types
from expectations.streaming.values import MOST_VALUES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from expectations.suite import Suite


def refuse_unmergeable(suite: Suite, position: int, *, on_rows: bool) -> None:
    """Raise `SuiteError` for an expectation that is valid, but not to be told batch by batch."""
    kind = suite.expectations[position].type
    if on_rows and kind not in _ACROSS_ROWS:
        return
    where = f"{suite.path}: expectations[{position}]"
    if kind in known_types():
        raise SuiteError(
            f"{where}.kwargs cannot be used batch by batch with {kind}, expected"
            f" {_KWARGS.get(kind, 'the column and, as numbers in order, the bounds')}"
        )
    raise SuiteError(
        f"{where}.type is {kind}, which cannot be told batch by batch; use {_INSTEAD.get(kind, _ANY)}"
    )


# On each row to Great Expectations, and what it finds depends on other rows.
_ACROSS_ROWS = {
    "expect_column_value_z_scores_to_be_less_than",
    "expect_column_values_to_be_decreasing",
    "expect_column_values_to_be_increasing",
    "expect_column_values_to_be_unique",
    "expect_column_values_to_not_be_outliers",
    "expect_compound_columns_to_be_unique",
    "expect_multicolumn_values_to_be_unique",
}

_VALUE_SET = f"a value_set of text or of numbers, at most {MOST_VALUES:,}"

_KWARGS: Mapping[str, str] = {
    "expect_column_distinct_values_to_be_in_set": _VALUE_SET,
    "expect_column_distinct_values_to_contain_set": _VALUE_SET,
    "expect_column_distinct_values_to_equal_set": _VALUE_SET,
    "expect_column_kl_divergence_to_be_less_than": (
        "a partition_object of values, or of rising bins (then with tail_weights, if any), and of weights"
        " that add up to 1; a threshold; tail_weight_holdout where there are no tail_weights"
    ),
    "expect_column_to_exist": "the column alone",
    "expect_column_unique_value_count_to_be_between": f"whole numbers in order, at most {MOST_VALUES:,}",
    "expect_column_values_to_be_unique": "the column and mostly",
    "expect_compound_columns_to_be_unique": "two columns or more, and mostly",
    "expect_table_columns_to_match_set": "a column_set of names and exact_match",
    "expect_table_row_count_to_equal": "value, a whole number",
}

_BETWEEN = "expect_column_values_to_be_between"
_MEAN = "expect_column_mean_to_be_between"
_ANY = f"an expectation on each row as {_BETWEEN}, or one on all rows as {_MEAN}"

_INSTEAD: Mapping[str, str] = {
    "expect_column_median_to_be_between": f"{_MEAN}, or {_BETWEEN} with mostly",
    "expect_column_most_common_value_to_be_in_set": "expect_column_kl_divergence_to_be_less_than",
    "expect_column_proportion_of_unique_values_to_be_between": (
        "expect_column_unique_value_count_to_be_between, or expect_column_values_to_be_unique with mostly"
    ),
    "expect_column_quantile_values_to_be_between": f"{_BETWEEN} with mostly",
    "expect_column_value_z_scores_to_be_less_than": _BETWEEN,
    "expect_column_values_to_not_be_outliers": _BETWEEN,
    "expect_multicolumn_values_to_be_unique": "expect_compound_columns_to_be_unique",
    "expect_table_columns_to_match_ordered_list": "expect_table_columns_to_match_set",
    "expect_table_column_count_to_be_between": "expect_table_columns_to_match_set",
    "expect_table_column_count_to_equal": "expect_table_columns_to_match_set",
}
