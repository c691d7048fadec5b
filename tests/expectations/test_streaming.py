"""Streams: what cannot be told batch by batch is refused, what is unique is left to the caller."""

import json
import math
import os
import pickle
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from flight_rows import day
from hypothesis import given, settings
from hypothesis import strategies as st
from test_streaming_properties import assert_says_the_same, expect, stream, suite_of, verdicts

from expectations import (
    Expectation,
    Inspector,
    Severity,
    Suite,
    SuiteError,
    Tally,
    check,
    load_suite,
    render,
    repeated_reason,
)

# Great Expectations says so of conditions as text; in JSON there are no others.
DEPRECATED = pytest.mark.filterwarnings(r"ignore:.*(row_condition|condition_parser) param:DeprecationWarning")


def split(table: pa.Table, rows: int) -> list[pa.Table]:
    return [table.slice(first, rows) for first in range(0, table.num_rows, rows)]


def conclude(suite: Suite, *batches: pa.Table) -> list[str]:
    inspector = Inspector.of(suite)
    tally = inspector.empty
    for batch in batches:
        tally = tally.merge(inspector.rows(batch).tally)
    return [failure.message for failure in inspector.conclude(tally).batch_failures]


def spoiled(table: pa.Table, seed: int) -> pa.Table:
    """A table with a few cells set to something else, or to null."""
    draw = np.random.default_rng(seed)
    for index, name in enumerate(table.column_names):
        values = table[name].to_pylist()
        is_text = isinstance(values[0], str)
        for row in draw.choice(len(values), 3):
            values[row] = draw.choice(["XX", "a\n", ""]) if is_text else draw.choice([-1e9, 1275, np.inf])
        values[draw.integers(len(values))] = None
        table = table.set_column(index, name, pa.array(values, table.schema.field(name).type))
    return table


def diamonds(rows: int) -> pa.Table:
    draw = np.random.default_rng(7)
    measures = {name: draw.uniform(0, 21, rows) for name in "xyz"}
    grades = {"cut": ["Fair", "Good", "Ideal"], "color": ["D", "E"], "clarity": ["I1", "IF"]}
    return pa.table(
        {
            "diamond_id": [f"d{row}" for row in range(rows)],
            "carat": draw.uniform(0.05, 5, rows),
            **{name: draw.choice(values, rows) for name, values in grades.items()},
            "depth": draw.uniform(40, 80, rows),
            "table": draw.uniform(29, 80, rows),
            **measures,
        }
    )


def predictions(scale: float) -> pa.Table:
    values = np.random.default_rng(7).normal(0.5, 0.3, 900) * scale
    return pa.table({"prediction": pa.array([None, np.nan, np.inf, *values], pa.float32())})


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("flight_delay/input", spoiled(day(7, 1), 1)),
        ("flight_delay/input", day(12, 31)),
        ("flight_delay/predictions", predictions(1)),
        ("diamond_price/input", spoiled(diamonds(300), 2)),
        ("diamond_price/predictions", predictions(20_000)),
    ],
)
def test_the_shipped_suites_say_the_same(name: str, table: pa.Table) -> None:
    suite = load_suite(name)
    not_unique = [each for each in suite.expectations if "unique" not in each.type]
    suite = replace(suite, expectations=tuple(not_unique))
    inspector = Inspector.of(suite)
    failures, tally = stream(inspector, split(table, 127), random.Random(3))
    whole = check(table, suite)
    assert_says_the_same(whole, failures, inspector.conclude(tally))
    assert not whole.is_fit


singles = st.floats(width=32) | st.sampled_from([math.inf, -math.inf, math.nan, 0.0, -0.0])
bounds = st.floats(allow_nan=False) | singles.filter(lambda each: each == each)  # noqa: PLR0124  # not NaN


@settings(max_examples=20_000 if os.environ.get("GREENROOM_EXHAUSTIVE") else 200)
@given(st.lists(singles, max_size=4), bounds, bounds, st.booleans(), st.booleans())
def test_a_range_of_float32_is_that_of_the_same_as_doubles(
    values: list[float],
    one: float,
    other: float,
    strict_min: bool,  # noqa: FBT001
    strict_max: bool,  # noqa: FBT001
) -> None:
    # The bounds and their neighbours are where a rounding would show.
    with np.errstate(over="ignore"):
        near = [np.float32(each) for each in (one, other)]
        near += [np.nextafter(each, np.float32(end)) for each in near for end in (-np.inf, np.inf)]
    found = pa.array([*values, *near], pa.float32())
    low, high = sorted((one, other))
    limits = {"min_value": low, "max_value": high, "strict_min": strict_min, "strict_max": strict_max}
    expectation = Expectation(
        "expect_column_values_to_be_between", {"column": "x", **limits}, Severity.CRITICAL, {}
    )
    inspector = Inspector.of(suite_of([expectation]))
    as_singles, as_doubles = (
        [failure.position for failure in inspector.rows(pa.table({"x": each})).row_failures]
        for each in (found, found.cast(pa.float64()))
    )
    assert as_singles == as_doubles


def test_great_expectations_is_not_imported_for_the_shipped_suites() -> None:
    program = """
import sys, pyarrow as pa
from expectations import Inspector, load_suite
for job in ("flight_delay", "diamond_price"):
    for name in ("input", "predictions"):
        inspector = Inspector.of(load_suite(f"{job}/{name}"))
        table = pa.table({"prediction": [0.5], "sched_dep_time": [515.0]})
        print(len(inspector.rows(table).row_failures))
assert "great_expectations" not in sys.modules
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["0"] * 4


def test_an_inspector_goes_to_other_processes_and_is_shared_by_threads() -> None:
    inspector = Inspector.of(load_suite("flight_delay/input"))
    assert pickle.loads(pickle.dumps(inspector)) == inspector
    table = spoiled(day(7, 1), 1)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(inspector.rows, [table] * 8))
    assert found == [inspector.rows(table)] * 8


def test_a_concluded_report_is_unfit_for_its_rows_and_says_how_many() -> None:
    inspector = Inspector.of(suite_of([expect("column_values_to_not_be_null", column="x")]))
    inspection = inspector.rows(pa.table({"x": [1, None, None]}))
    report = inspector.conclude(inspection.tally)
    assert not report.is_fit
    assert render(report) == (
        "suite (000000000000): unfit, at least 2 of 3 rows fail\n"
        "  row failures:\n"
        "    x, expected a value: 2 of 3 rows\n"
        "      x is null\n"
        "      … and 1 more rows"
    )


def test_no_rows_are_unfit() -> None:
    suite = suite_of([expect("column_mean_to_be_between", column="x", min_value=0)])
    assert conclude(suite) == ["0 rows, expected at least 1"]
    assert conclude(suite, pa.table({"y": pa.array([], pa.float64())})) == [
        "0 rows, expected at least 1",
        "column 'x' is missing, found 'y'",
    ]
    assert conclude(suite, pa.table({"x": pa.array([], pa.float64())}), pa.table({"x": [1.0]})) == []


def test_a_missing_and_a_doubled_column_are_found_once() -> None:
    suite = suite_of(
        [
            expect("column_values_to_not_be_null", column="x"),
            expect("table_row_count_to_be_between", min_value=9),
        ]
    )
    missing = ["column 'x' is missing, found 'y'", "2 rows, expected at least 9"]
    assert conclude(suite, pa.table({"y": [1]}), pa.table({"y": [2]})) == missing
    doubled = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"])
    assert conclude(suite, doubled) == ["column 'x' appears 2 times, expected once"]


@pytest.mark.parametrize(
    ("expectation", "column"),
    [
        (expect("column_values_to_be_between", column="x", min_value=0, max_value=1), ["0,5", "1"]),
        (expect("column_values_to_be_between", column="x", min_value=2, max_value=1), [0.5, 1.5]),
        (expect("column_values_to_match_regex", column="x", regex="("), ["a", "b"]),
        (expect("column_values_to_be_of_type", column="x", type_="int64"), [0.5, 1.5]),
    ],
)
def test_what_cannot_be_evaluated_stops_the_batch_as_in_check(expectation: Expectation, column: Any) -> None:
    suite = suite_of([expectation])
    whole = check(pa.table({"x": column}), suite)
    assert conclude(suite, *split(pa.table({"x": column}), 1)) == [f.message for f in whole.batch_failures]
    assert len(whole.batch_failures) == 1


@pytest.mark.parametrize(
    ("expectation", "column", "message"),
    [
        (
            expect("column_mean_to_be_between", column="x", min_value=0),
            ["a"],
            (
                "x (string): expect_column_mean_to_be_between cannot be evaluated: "
                "batch by batch, it takes numbers"
            ),
        ),
        (
            expect("column_unique_value_count_to_be_between", column="x", max_value=5),
            [str(value) for value in range(10_001)],
            "x: unique value count is more than 10000, expected at most 5",
        ),
        (
            expect(
                "column_kl_divergence_to_be_less_than",
                column="x",
                partition_object={"values": ["a"], "weights": [1]},
                threshold=1,
            ),
            [str(value) for value in range(10_001)],
            (
                "x: expect_column_kl_divergence_to_be_less_than cannot be evaluated: "
                "the column has more than 10,000 different values"
            ),
        ),
    ],
)
def test_what_does_not_add_up_stops_the_batch(expectation: Expectation, column: Any, message: str) -> None:
    table = pa.table({"x": column})
    assert conclude(suite_of([expectation]), *split(table, 6000)) == [message]


@DEPRECATED
@pytest.mark.parametrize(
    ("expectation", "message"),
    [
        (
            expect("column_median_to_be_between", column="x", min_value=0),
            (
                ".type is expect_column_median_to_be_between, which cannot be told batch by batch; "
                "use expect_column_mean_to_be_between, or expect_column_values_to_be_between with mostly"
            ),
        ),
        (
            expect("column_quantile_values_to_be_between", column="x", quantile_ranges={}),
            (
                ".type is expect_column_quantile_values_to_be_between, which cannot be told batch by batch; "
                "use expect_column_values_to_be_between with mostly"
            ),
        ),
        (
            expect("column_values_to_be_increasing", column="x"),
            (
                ".type is expect_column_values_to_be_increasing, which cannot be told batch by batch; "
                "use an expectation on each row"
            ),
        ),
        (
            expect("column_mean_to_be_between", column="x", min_value="2013-01-01"),
            ".kwargs cannot be used batch by batch with expect_column_mean_to_be_between, expected",
        ),
        (
            expect(
                "column_values_to_be_unique", column="x", row_condition="x > 1", condition_parser="pandas"
            ),
            ".kwargs cannot be used batch by batch with expect_column_values_to_be_unique, expected",
        ),
        (
            expect("column_values_to_be_between", column="x", min_value="low"),
            ".kwargs.min_value does not suit expect_column_values_to_be_between: value is not a valid float",
        ),
        (
            expect("column_values_to_be_between", column="x", min=0, max_value=1),
            ".kwargs has unknown key 'min' for expect_column_values_to_be_between, expected some of",
        ),
        (
            expect("column_values_to_be_between", column="x", min_value=10**400),
            ".kwargs does not suit expect_column_values_to_be_between: int too large to convert to float",
        ),
        (
            expect("column_values_to_be_nice", column="x"),
            ".type is 'expect_column_values_to_be_nice', unknown",
        ),
    ],
)
def test_a_suite_that_no_stream_can_meet_is_refused(expectation: Expectation, message: str) -> None:
    suite = suite_of([expect("column_to_exist", column="x"), expectation])
    with pytest.raises(SuiteError) as refusal:
        Inspector.of(suite)
    assert str(refusal.value).startswith(f"suite.json: expectations[1]{message}")


@DEPRECATED
def test_a_condition_on_rows_goes_to_great_expectations() -> None:
    suite = suite_of(
        [
            expect(
                "column_values_to_be_between",
                column="x",
                max_value=1,
                row_condition='y == "a"',
                condition_parser="pandas",
                mostly=0.9,
            )
        ]
    )
    # It selects from all columns, not only from the one it is on.
    table = pa.table({"x": [1, 2, 3, 4], "y": ["a", "a", "b", "a"]})
    inspector = Inspector.of(suite)
    failures, tally = stream(inspector, split(table, 2), random.Random(3))
    assert_says_the_same(check(table, suite), failures, inspector.conclude(tally))
    assert [failure.position for failure in failures] == [1, 3]


def test_what_is_unique_is_counted_by_the_caller() -> None:
    unique = expect("column_values_to_be_unique", column="x", mostly=0.9)
    both = expect("compound_columns_to_be_unique", "warning", column_list=["x", "y"])
    suite = suite_of([unique, both])
    table = pa.table({"x": ["a", "a", "b", None], "y": [1, 1, 2, None]})
    inspector = Inspector.of(suite)
    assert [each.columns for each in inspector.unique] == [("x",), ("x", "y")]
    tally = inspector.empty
    for batch in split(table, 1):
        inspection = inspector.rows(batch)
        assert inspection.row_failures == ()
        tally = tally.merge(inspection.tally)
    whole = check(table, suite)
    reason = repeated_reason(unique, ["a"], 2)
    assert whole.row_failures[0].reasons == (reason,)
    tally = tally.merge(inspector.repeated(unique, 2, [reason]))
    tally = tally.merge(inspector.repeated(both, 2, [repeated_reason(both, ["a", 1], 2)]))
    assert verdicts(inspector.conclude(tally)) == verdicts(whole)
    assert inspector.conclude(tally).warnings[0].examples == ("x 'a' and y 1 appears 2 times, expected once",)


def test_whole_numbers_add_up_exactly() -> None:
    suite = suite_of([expect("column_sum_to_be_between", column="x", max_value=0)])
    table = pa.table({"x": pa.array([2**63 - 1, 2**63 - 2, None], pa.int64())})
    assert conclude(suite, table, table) == [f"x: sum is {2 * (2**64 - 3)}, expected at most 0"]


def test_a_deviation_keeps_its_digits_far_from_zero() -> None:
    # The sum of squares less the square of the sum would leave none of them.
    suite = suite_of([expect("column_stdev_to_be_between", column="x", max_value=0)])
    values = 1e9 + np.arange(1000.0)
    [message] = conclude(suite, *split(pa.table({"x": values}), 7))
    assert message.startswith(f"x: stdev is {np.std(values, ddof=1):.10f}"[:-2])


def test_a_tally_of_another_suite_is_refused() -> None:
    inspector = Inspector.of(suite_of([expect("column_to_exist", column="x")]))
    other = replace(inspector.empty, suite_digest="f" * 64)
    for use in (inspector.conclude, inspector.empty.merge):
        with pytest.raises(
            SuiteError, match="of the suite with the digest ffffffffffff, expected 000000000000"
        ):
            use(other)


def test_a_tally_survives_json_with_infinities() -> None:
    suite = suite_of(
        [
            expect("column_mean_to_be_between", column="x", max_value=1),
            expect("column_unique_value_count_to_be_between", column="x", max_value=1),
            expect("column_unique_value_count_to_be_between", column="t", max_value=1),
        ]
    )
    table = pa.table({"x": [np.inf, 0.1, -np.inf, 1.0, None], "t": ["inf", "nan", "1", "1", None]})
    tally = Inspector.of(suite).rows(table).tally
    assert Tally.from_plain(json.loads(json.dumps(tally.to_plain(), allow_nan=False))) == tally


def test_a_batch_that_fails_throughout_costs_no_more_than_its_sentences() -> None:
    inspector = Inspector.of(suite_of([expect("column_values_to_not_be_null", column="x")]))
    inspection = inspector.rows(pa.table({"x": pa.nulls(5000)}))
    assert len(inspection.row_failures) == 5000
    assert inspection.tally.checks[0].examples == ("x is null",)
    assert len(json.dumps(inspection.tally.to_plain())) < 400


def test_a_path_is_named_as_it_was_given() -> None:
    suite = replace(suite_of([expect("column_median_to_be_between", column="x")]), path=Path("a/b.json"))
    with pytest.raises(SuiteError, match=r"^a/b.json: expectations\[0\]"):
        Inspector.of(suite)
