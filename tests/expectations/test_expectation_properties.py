"""For any table, the failing rows are those a plain loop over the rows would fail."""

import math
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations import Expectation, Severity, Suite, check

EXAMPLES = 1000 if os.environ.get("GREENROOM_EXHAUSTIVE") else 25
LOW, HIGH = -3, 5.5
ORIGINS = ["EWR", "JFK", ""]


def expect(kind: str, **kwargs: Any) -> Expectation:
    return Expectation(f"expect_column_values_to_{kind}", kwargs, Severity.CRITICAL, {})


def missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def not_null(column: list[Any]) -> list[bool]:
    return [not missing(value) for value in column]


def between(column: list[Any]) -> list[bool]:
    return [missing(value) or LOW <= value <= HIGH for value in column]


def in_set(column: list[Any]) -> list[bool]:
    return [missing(value) or value in ORIGINS for value in column]


def unique(column: list[Any]) -> list[bool]:
    counts = Counter(value for value in column if not missing(value))
    return [missing(value) or counts[value] == 1 for value in column]


RULES: list[tuple[Expectation, Callable[[list[Any]], list[bool]]]] = [
    *((expect("not_be_null", column=name), not_null) for name in "fgist"),
    *((expect("be_unique", column=name), unique) for name in "fist"),
    *((expect("be_between", column=name, min_value=LOW, max_value=HIGH), between) for name in "fgi"),
    *((expect("be_in_set", column=name, value_set=ORIGINS), in_set) for name in "st"),
]
SUITE = Suite("suite", Path("suite.json"), "0" * 64, tuple(rule for rule, _ in RULES))

floats = st.none() | st.floats() | st.integers(-4, 6).map(float) | st.just(HIGH)
integers = st.none() | st.integers(-4, 6) | st.integers(-(2**63), 2**63 - 1)
texts = st.none() | st.sampled_from([*ORIGINS, "ewr", "LGA", "a\0b", "\N{SNOWMAN}"]) | st.text()
rows = st.lists(st.tuples(floats, st.none() | st.floats(width=32), integers, texts, texts), min_size=1)


@settings(max_examples=EXAMPLES)
@given(rows)
def test_the_failing_rows_are_those_of_a_plain_loop(rows: list[tuple[Any, ...]]) -> None:
    f, g, i, s, t = ([row[position] for row in rows] for position in range(5))
    columns = {"f": f, "g": g, "i": i, "s": s, "t": t}
    table = pa.table(
        {
            "f": pa.array(f, pa.float64()),
            "g": pa.array(g, pa.float32()),
            "i": pa.array(i, pa.int64()),
            "s": pa.array(s, pa.string()),
            "t": pa.array(t, pa.string()).dictionary_encode(),
        }
    )
    expected = Counter(
        position
        for expectation, evaluate in RULES
        for position, met in enumerate(evaluate(columns[expectation.kwargs["column"]]))
        if not met
    )
    report = check(table, SUITE)
    assert {row.position: len(row.reasons) for row in report.row_failures} == expected
    assert report.batch_failures == ()
    assert report.is_fit == (not expected)
