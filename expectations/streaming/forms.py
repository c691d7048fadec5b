"""Forms: which expectations are known batch by batch, and which kwargs of theirs. Pure."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from expectations.streaming.values import MOST_VALUES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from expectations.suite import Expectation

    Test = Callable[[Any], bool]


class Role(StrEnum):
    """How an expectation is evaluated in a stream."""

    ROWS = "rows"
    """On each row, by kernels here."""
    REFERENCE = "reference"
    """On each row, by Great Expectations on each batch."""
    UNIQUE = "unique"
    """By the caller, who sees all rows."""
    WHOLE = "whole"
    """On all rows at the end, from what was counted in each batch."""


@dataclass(frozen=True)
class _Form:
    """The kwargs of a type: those it needs, those it may have, and what must hold of them together."""

    role: Role
    needed: Mapping[str, Test]
    allowed: Mapping[str, Test]
    together: Test = lambda _: True


def role_of(expectation: Expectation) -> Role | None:
    """Say how an expectation is evaluated; None where its type or its kwargs are not known here.

    What is known means here just what it means to Great Expectations, and that would accept it. So kwargs
    that it converts (text for a number, a number for a flag) are not known.
    """
    form = _FORMS.get(expectation.type)
    kwargs = dict(expectation.kwargs)
    if form is None or not form.needed.keys() <= kwargs.keys():
        return None
    tests = {**form.needed, **form.allowed}
    if not all(key in tests and tests[key](value) for key, value in kwargs.items()):
        return None
    return form.role if form.together(kwargs) else None


def known_types() -> frozenset[str]:
    """Return the types of which some kwargs are understood."""
    return frozenset(_FORMS)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _are_names(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_name, value))


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    # Great Expectations reads bounds as doubles.
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _is_pattern(value: object) -> bool:
    try:
        return isinstance(value, str) and re.compile(value) is not None
    except (re.error, RecursionError, OverflowError):
        return False


def _are_values(value: object) -> bool:
    return isinstance(value, list) and all(
        each is None or isinstance(each, str | bool) or _is_number(each) for each in value
    )


def _are_of_one_kind(value: object) -> bool:
    if not isinstance(value, list) or not 0 < len(value) <= MOST_VALUES:
        return False
    return all(isinstance(each, str) for each in value) or all(map(_is_number, value))


def _or_none(test: Test) -> Test:
    return lambda value: value is None or test(value)


def _bounds(test: Test) -> dict[str, Test]:
    ends = dict.fromkeys(("min_value", "max_value"), _or_none(test))
    return {**ends, "strict_min": _is_flag, "strict_max": _is_flag}


def _are_ordered(kwargs: Mapping[str, Any]) -> bool:
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    return low is None or high is None or low <= high


def _are_given(kwargs: Mapping[str, Any]) -> bool:
    given = kwargs.get("min_value") is not None or kwargs.get("max_value") is not None
    return given and _are_ordered(kwargs)


def _are_countable(kwargs: Mapping[str, Any]) -> bool:
    ends = [kwargs.get("min_value") or 0, kwargs.get("max_value") or 0]
    return _are_given(kwargs) and max(ends) <= MOST_VALUES


def _is_partition(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    if value.keys() == {"values", "weights"}:
        values, tails = value["values"], []
        known = _are_of_one_kind(values) and len(values) == len(set(values)) == len(value["weights"])
    elif {"bins", "weights"} <= value.keys() <= {"bins", "weights", "tail_weights"}:
        bins, tails = value["bins"], value.get("tail_weights", [0, 0])
        known = (
            _are_rising(bins)
            and len(bins) == len(value["weights"]) + 1
            and len(tails) == len(["below", "above"])
        )
    else:
        return False
    weights = [*value["weights"], *tails] if known else []
    # Great Expectations' own tolerance.
    return all(map(_is_share, weights)) and math.isclose(sum(weights), 1, rel_tol=1e-5, abs_tol=1e-8)


def _are_rising(value: object) -> bool:
    if not isinstance(value, list) or not 1 < len(value) <= MOST_VALUES or not all(map(_is_number, value)):
        return False
    return all(low < high for low, high in pairwise(value))


def _has_one_tail(kwargs: Mapping[str, Any]) -> bool:
    return not (kwargs.get("tail_weight_holdout") and "tail_weights" in kwargs["partition_object"])


def _on_column(role: Role, needed: Mapping[str, Test], allowed: Mapping[str, Test], **more: Test) -> _Form:
    return _Form(role, {"column": _is_name, **needed}, allowed, **more)


_MOSTLY: Mapping[str, Test] = {"mostly": _is_share}
_NUMBERS = _bounds(_is_number)
_COUNTS = _bounds(_is_whole)
_SET: Mapping[str, Test] = {"value_set": _are_values}
_REGEX: Mapping[str, Test] = {"regex": _is_pattern}
_IGNORED = {"both_values_are_missing", "either_value_is_missing", "neither"}
_PAIR: Mapping[str, Test] = {**_MOSTLY, "ignore_row_if": lambda value: value in _IGNORED}
_COLUMNS: Mapping[str, Test] = {"column_A": _is_name, "column_B": _is_name}

_AGGREGATE = _on_column(Role.WHOLE, {}, _NUMBERS, together=_are_ordered)
_DISTINCT = _on_column(Role.WHOLE, {"value_set": _are_of_one_kind}, {})

_FORMS: Mapping[str, _Form] = {
    "expect_column_values_to_not_be_null": _on_column(Role.ROWS, {}, _MOSTLY),
    "expect_column_values_to_be_null": _on_column(Role.ROWS, {}, _MOSTLY),
    "expect_column_values_to_be_between": _on_column(
        Role.ROWS, {}, {**_NUMBERS, **_MOSTLY}, together=_are_given
    ),
    "expect_column_values_to_be_in_set": _on_column(Role.ROWS, _SET, _MOSTLY),
    "expect_column_values_to_not_be_in_set": _on_column(Role.ROWS, _SET, _MOSTLY),
    "expect_column_values_to_match_regex": _on_column(Role.ROWS, _REGEX, _MOSTLY),
    "expect_column_values_to_not_match_regex": _on_column(Role.ROWS, _REGEX, _MOSTLY),
    "expect_column_value_lengths_to_equal": _on_column(Role.ROWS, {"value": _is_number}, _MOSTLY),
    "expect_column_value_lengths_to_be_between": _on_column(
        Role.ROWS, {}, {**_COUNTS, **_MOSTLY}, together=_are_given
    ),
    "expect_column_pair_values_a_to_be_greater_than_b": _Form(
        Role.ROWS, _COLUMNS, {**_PAIR, "or_equal": _or_none(_is_flag)}
    ),
    "expect_column_pair_values_to_be_equal": _Form(Role.ROWS, _COLUMNS, _PAIR),
    "expect_column_values_to_be_unique": _on_column(Role.UNIQUE, {}, _MOSTLY),
    "expect_compound_columns_to_be_unique": _Form(
        Role.UNIQUE,
        {"column_list": _are_names},
        {**_MOSTLY, "ignore_row_if": lambda value: value == "all_values_are_missing"},
        lambda kwargs: len(set(kwargs["column_list"])) == len(kwargs["column_list"]) > 1,
    ),
    "expect_table_row_count_to_be_between": _Form(Role.WHOLE, {}, _COUNTS, _are_ordered),
    "expect_table_row_count_to_equal": _Form(Role.WHOLE, {"value": _is_whole}, {}),
    "expect_table_columns_to_match_set": _Form(
        Role.WHOLE, {"column_set": _are_names}, {"exact_match": _is_flag}
    ),
    "expect_column_to_exist": _on_column(Role.WHOLE, {}, {}),
    "expect_column_mean_to_be_between": _AGGREGATE,
    "expect_column_sum_to_be_between": _AGGREGATE,
    "expect_column_min_to_be_between": _AGGREGATE,
    "expect_column_max_to_be_between": _AGGREGATE,
    "expect_column_stdev_to_be_between": _AGGREGATE,
    "expect_column_proportion_of_non_null_values_to_be_between": _on_column(
        Role.WHOLE, {}, _NUMBERS, together=_are_given
    ),
    "expect_column_unique_value_count_to_be_between": _on_column(
        Role.WHOLE, {}, _COUNTS, together=_are_countable
    ),
    "expect_column_distinct_values_to_be_in_set": _DISTINCT,
    "expect_column_distinct_values_to_contain_set": _DISTINCT,
    "expect_column_distinct_values_to_equal_set": _DISTINCT,
    "expect_column_kl_divergence_to_be_less_than": _on_column(
        Role.WHOLE,
        {"partition_object": _is_partition, "threshold": lambda value: _is_number(value) and value >= 0},
        {"tail_weight_holdout": _is_share},
        together=_has_one_tail,
    ),
}
