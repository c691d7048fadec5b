"""Sentences: why a row or a batch does not meet an expectation. Bounded, whatever the values."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    import pyarrow as pa

    from expectations.suite import Expectation

_VALUE_LENGTH = 80
_RULE_LENGTH = 160
_LISTED = 8


def row_reasons(expectation: Expectation, table: pa.Table, positions: Sequence[int]) -> list[str]:
    """Say for each failing row (`positions`, from 0) what was found and what was expected."""
    if expectation.type == "expect_column_values_to_not_be_null":
        return [f"{expectation.columns[0]} is null"] * len(positions)
    # Not `take`: some types (views, run ends) lack it.
    columns = [table.column(name) for name in expectation.columns]
    rows = [[_read(column[position]) for column in columns] for position in positions]
    kinds = [column.type for column in columns]
    found = [tuple(map(show, row, kinds)) for row in rows]
    expected = rule(expectation)
    if expectation.type in _UNIQUE:
        # Every row of a duplicate fails, so the failing rows hold all its occurrences. Counted
        # whole, not as shown: two long values may differ past where they are cut.
        keys = [repr(row) for row in rows]
        counts = Counter(keys)
        reasons = [
            _say_repeated(expectation, values, counts[key]) for values, key in zip(found, keys, strict=True)
        ]
    else:
        reasons = [f"{_say(expectation, values, ' is')}, {expected}" for values in found]
    # A fault often repeats: equal sentences share one string.
    once: dict[str, str] = {}
    return [once.setdefault(reason, reason) for reason in reasons]


def repeated_reason(expectation: Expectation, values: Sequence[object], times: int) -> str:
    """Say of a row that its values, in the order of the expectation's columns, are there several times."""
    return _say_repeated(expectation, tuple(map(show, values)), times)


def rule(expectation: Expectation) -> str:
    """Say what an expectation asks of a row: "expected between 0 and 150"."""
    say = _RULES.get(expectation.type)
    said = say(expectation.kwargs) if say else _spell(expectation.type, expectation.kwargs)
    return f"expected {said}"


def batch_reason(expectation: Expectation, observed: object, details: object) -> str:
    """Say what was observed of the batch and what was expected."""
    kwargs, column = expectation.kwargs, ", ".join(expectation.columns)
    if expectation.type == "expect_table_row_count_to_be_between":
        return f"{observed} rows, expected {bounds(kwargs)}"
    if expectation.type == "expect_table_row_count_to_equal":
        return f"{observed} rows, expected {kwargs['value']}"
    if expectation.type == "expect_table_columns_to_match_set" and isinstance(details, dict):
        wrong = details.get("mismatched", {})
        return "columns differ from the set: " + ", ".join(
            f"{kind} {show_list(names)}" for kind, names in sorted(wrong.items())
        )
    if aggregate := re.fullmatch("expect_column_(.+)_to_be_between", expectation.type):
        figure = aggregate[1].replace("_", " ").replace("non null", "non-null")
        return f"{column}: {figure} is {show(observed)}, expected {bounds(kwargs)}"
    if expectation.type == "expect_column_kl_divergence_to_be_less_than":
        # Infinite where a value was seen that was not expected at all, undefined where none was seen.
        found = f"{observed:.4g}" if isinstance(observed, float) else "infinite or undefined"
        expected = f"at most {show(kwargs.get('threshold'))}"
        return f"{column}: divergence from the expected distribution is {found}, expected {expected}"
    subject = f"{column}: " if column else ""
    return f"{subject}observed {show(observed)}, expected {_spell(expectation.type, kwargs)}"


def not_evaluated(expectation: Expectation, kinds: Sequence[pa.DataType], why: str) -> str:
    """Say that an expectation cannot be evaluated on columns of these types."""
    columns = " and ".join(f"{name} ({kind})" for name, kind in zip(expectation.columns, kinds, strict=True))
    subject = f"{columns}: " if columns else ""
    return f"{subject}{expectation.type} cannot be evaluated: {why}"


def bounds(kwargs: Mapping[str, object]) -> str:
    """Say a range: `min_value` and `max_value`, each inclusive unless strict."""
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    strict_low, strict_high = kwargs.get("strict_min"), kwargs.get("strict_max")
    if low is not None and high is not None and not strict_low and not strict_high:
        return f"between {show(low)} and {show(high)}"
    said = []
    if low is not None:
        said.append(f"{'more than' if strict_low else 'at least'} {show(low)}")
    if high is not None:
        said.append(f"{'less than' if strict_high else 'at most'} {show(high)}")
    return " and ".join(said)


def show(value: object, kind: pa.DataType | None = None, length: int = _VALUE_LENGTH) -> str:
    """Print a value on one line of bounded length, its control characters escaped."""
    if value is None:
        return "null"
    if isinstance(value, float | np.floating):
        return _show_float(value, kind)
    if isinstance(value, str | bytes):
        # Cut first: a value may be as large as the file.
        cut = len(value) > length
        said = repr(value[:length])
    else:
        said = repr(value) if isinstance(value, list | dict) else str(value)
        cut = len(said) > length
    return f"{said[:length]}…" if cut else said


def show_list(values: Sequence[object]) -> str:
    """Print the first of several values, and how many there are more."""
    said = ", ".join(show(value) for value in list(values)[:_LISTED])
    return said if len(values) <= _LISTED else f"{said} and {len(values) - _LISTED:,} more"


def _read(value: pa.Scalar) -> object:
    try:
        return value.as_py()
    except (OverflowError, ValueError):
        # Arrow goes on where Python ends: a timestamp in the year 33658.
        return f"{value.type} out of range"


def _show_float(value: float | np.floating[Any], kind: pa.DataType | None) -> str:
    if str(kind) == "float":
        # A float32 printed as a double shows digits nobody wrote: 0.1 as 0.10000000149011612.
        return str(np.float32(value)).removesuffix(".0")
    # float(): a numpy scalar would print its type.
    return repr(float(value)).removesuffix(".0")


def _say(expectation: Expectation, values: tuple[str, ...], verb: str = "") -> str:
    return " and ".join(
        f"{column}{verb} {value}" for column, value in zip(expectation.columns, values, strict=True)
    )


def _say_repeated(expectation: Expectation, values: tuple[str, ...], times: int) -> str:
    return f"{_say(expectation, values)} appears {times} times, {rule(expectation)}"


def _spell(kind: str, kwargs: Mapping[str, object]) -> str:
    told = {key: value for key, value in kwargs.items() if not key.startswith("column")}
    spelled = json.dumps(told, default=str)
    arguments = f" {spelled}" if told else ""
    return f"{kind.removeprefix('expect_').replace('_', ' ')}{arguments}"[:_RULE_LENGTH]


def _pattern(kwargs: Mapping[str, Any]) -> str:
    # As written in the suite: escaped again, a pattern is hard to read.
    return f"/{kwargs['regex'][:_RULE_LENGTH]}/"


def _say_greater(kwargs: Mapping[str, Any]) -> str:
    relation = "at least" if kwargs.get("or_equal") else "more than"
    return f"{kwargs['column_A']} {relation} {kwargs['column_B']}"


# What a row's value has to be, by the expectation's type; a type not listed is spelled out.
_RULES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "expect_column_pair_values_a_to_be_greater_than_b": _say_greater,
    "expect_column_pair_values_to_be_equal": lambda _: "equal values",
    "expect_column_value_lengths_to_be_between": lambda kwargs: f"{bounds(kwargs)} characters",
    "expect_column_value_lengths_to_equal": lambda kwargs: f"{show(kwargs['value'])} characters",
    "expect_column_values_to_be_between": bounds,
    "expect_column_values_to_be_in_set": lambda kwargs: f"one of {show_list(kwargs['value_set'])}",
    "expect_column_values_to_be_null": lambda _: "null",
    "expect_column_values_to_be_unique": lambda _: "once",
    "expect_column_values_to_match_regex": lambda kwargs: f"to match {_pattern(kwargs)}",
    "expect_column_values_to_not_be_in_set": (lambda kwargs: f"none of {show_list(kwargs['value_set'])}"),
    "expect_column_values_to_not_be_null": lambda _: "a value",
    "expect_column_values_to_not_match_regex": (lambda kwargs: f"not to match {_pattern(kwargs)}"),
    "expect_compound_columns_to_be_unique": lambda _: "once",
    "expect_multicolumn_values_to_be_equal": lambda _: "equal values",
}

_UNIQUE = {
    "expect_column_values_to_be_unique",
    "expect_compound_columns_to_be_unique",
}
