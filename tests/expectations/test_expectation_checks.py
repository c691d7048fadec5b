"""Checks by the real Great Expectations: which rows, which batches, in which words."""

import decimal
import logging
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from expectations import Expectation, Report, Severity, Suite, UnreadableError, check


def expect(kind: str, severity: str = "critical", **kwargs: Any) -> Expectation:
    return Expectation(f"expect_{kind}", kwargs, Severity(severity), {})


def run(table: pa.Table | dict[str, Any], *expectations: Expectation) -> Report:
    suite = Suite("suite", Path("suite.json"), "0" * 64, expectations)
    return check(table if isinstance(table, pa.Table) else pa.table(table), suite)


def reasons(report: Report) -> dict[int, tuple[str, ...]]:
    return {row.position: row.reasons for row in report.row_failures}


def stops(report: Report) -> list[str]:
    return [failure.message for failure in report.batch_failures]


@pytest.mark.parametrize(
    ("column", "expectation", "expected"),
    [
        (
            [3.0, 1048.36, None, -1.0],
            expect("column_values_to_be_between", column="x", min_value=0, max_value=150),
            {
                1: "x is 1048.36, expected between 0 and 150",
                3: "x is -1, expected between 0 and 150",
            },
        ),
        (
            [0.0, 1.0],
            expect("column_values_to_be_between", column="x", min_value=0, strict_min=True),
            {0: "x is 0, expected more than 0"},
        ),
        (
            pa.array([0.1, 1.0000001, 0.7], pa.float32()),
            expect("column_values_to_be_between", column="x", max_value=0.5),
            {1: "x is 1.0000001, expected at most 0.5", 2: "x is 0.7, expected at most 0.5"},
        ),
        (["a", None], expect("column_values_to_not_be_null", column="x"), {1: "x is null"}),
        (
            ["a", None],
            expect("column_values_to_be_null", column="x"),
            {0: "x is 'a', expected null"},
        ),
        (
            ["EWR", "ewr\n", None],
            expect("column_values_to_be_in_set", column="x", value_set=["EWR", "JFK"]),
            {1: r"x is 'ewr\n', expected one of 'EWR', 'JFK'"},
        ),
        (
            ["a", "b", None],
            expect("column_values_to_not_be_in_set", column="x", value_set=["a"]),
            {0: "x is 'a', expected none of 'a'"},
        ),
        (
            ["a", "b", None, "a", None],
            expect("column_values_to_be_unique", column="x"),
            {
                0: "x 'a' appears 2 times, expected once",
                3: "x 'a' appears 2 times, expected once",
            },
        ),
        (
            ["UA", "UAX", ""],
            expect("column_value_lengths_to_equal", column="x", value=2),
            {
                1: "x is 'UAX', expected 2 characters",
                2: "x is '', expected 2 characters",
            },
        ),
        (
            ["UA", "UAX"],
            expect("column_value_lengths_to_be_between", column="x", min_value=1, max_value=2),
            {1: "x is 'UAX', expected between 1 and 2 characters"},
        ),
        (
            # A capturing group makes pandas warn; the warning is not the reader's business.
            [515.0, 575.0],
            expect("column_values_to_match_regex", column="x", regex=r"^(\d)[0-5]\d\.0$"),
            {1: r"x is 575, expected to match /^(\d)[0-5]\d\.0$/"},
        ),
        (
            ["a1", "b"],
            expect("column_values_to_not_match_regex", column="x", regex="[0-9]"),
            {0: "x is 'a1', expected not to match /[0-9]/"},
        ),
        (
            ["{", "{}"],
            expect("column_values_to_be_json_parseable", column="x"),
            {0: "x is '{', expected column values to be json parseable"},
        ),
    ],
)
def test_a_row_is_failed_in_one_sentence(
    column: Any, expectation: Expectation, expected: dict[int, str]
) -> None:
    report = run({"x": column}, expectation)
    assert reasons(report) == {position: (reason,) for position, reason in expected.items()}
    assert stops(report) == []
    assert report.rows == len(column)
    [summary] = report.row_checks
    assert (summary.check, summary.column) == (expectation.type, "x")
    assert summary.count == len(expected)


def test_rows_are_failed_by_expectations_over_several_columns() -> None:
    report = run(
        {"a": [1, 2, 2, 3], "b": ["x", "y", "y", None], "c": [0, 2, 3, 2]},
        expect("compound_columns_to_be_unique", column_list=["a", "b"]),
        expect("column_pair_values_a_to_be_greater_than_b", column_A="a", column_B="c"),
    )
    twice = "a 2 and b 'y' appears 2 times, expected once"
    assert reasons(report) == {
        1: (twice, "a is 2 and c is 2, expected a more than c"),
        2: (twice, "a is 2 and c is 3, expected a more than c"),
    }


@pytest.mark.parametrize(
    ("column", "shown"),
    [
        (pa.array(["a"], pa.string_view()), "'a'"),
        (pa.RunEndEncodedArray.from_arrays([1], [7]), "7"),
        (pa.array([[1, 2]]), "[1, 2]"),
        (pa.array([10**18 + 1], pa.timestamp("ns")), "2001-09-09 01:46:40.000000001"),
        (pa.array([10**12], pa.timestamp("s")), "'timestamp[s] out of range'"),
        (pa.array([decimal.Decimal("1.50")]), "1.50"),
        (pa.array([0.1], pa.float32()), "0.1"),
        (pa.array([True]), "True"),
    ],
)
def test_a_value_of_any_type_is_shown(column: Any, shown: str) -> None:
    report = run({"x": column}, expect("column_values_to_be_null", column="x"))
    assert reasons(report) == {0: (f"x is {shown}, expected null",)}


def test_long_values_that_differ_at_the_end_are_different_keys() -> None:
    long = "k" * 100
    report = run(
        {"x": [long + "a", long + "b", long + "a", long + "b"]},
        expect("column_values_to_be_unique", column="x"),
    )
    assert reasons(report)[0] == (f"x '{'k' * 79}… appears 2 times, expected once",)


def test_all_failing_rows_are_found_and_equal_reasons_are_one_string() -> None:
    # Great Expectations lists at most 200 of the failing *values*.
    report = run({"x": [None] * 1000}, expect("column_values_to_not_be_null", column="x"))
    assert [row.position for row in report.row_failures] == list(range(1000))
    assert len({id(reason) for row in report.row_failures for reason in row.reasons}) == 1


def test_a_huge_value_makes_a_short_reason() -> None:
    report = run({"x": ["é" * 10_000_000]}, expect("column_values_to_be_null", column="x"))
    assert reasons(report) == {0: (f"x is '{'é' * 79}…, expected null",)}


@pytest.mark.parametrize("value", [math.inf, -math.inf])
@pytest.mark.parametrize("kind", [pa.float32(), pa.float64()])
def test_infinity_is_between_no_bounds(value: float, kind: pa.DataType) -> None:
    report = run(
        {"x": pa.array([1.0, value], kind)},
        expect("column_values_to_be_between", column="x", min_value=0, max_value=150),
    )
    assert reasons(report) == {1: (f"x is {value}, expected between 0 and 150",)}


@pytest.mark.parametrize(
    "column",
    [
        pa.array([None, 1, 2], pa.int8()),
        pa.array([None, 1, 2], pa.uint64()),
        pa.array([None, 1.0, 2.0], pa.float32()),
        pa.array([math.nan, 1.0, 2.0]),
        pa.array([None, True, False]),
        pa.array([None, "a", "b"]),
        pa.array([None, "a", "b"], pa.large_string()),
        pa.array([None, "a", "b"]).dictionary_encode(),
        pa.array([None, b"a", b"b"]),
        pa.array([None, 1, 2], pa.timestamp("us", "America/New_York")),
        pa.array([None, 1, 2], pa.date32()),
        pa.array([None, decimal.Decimal("1.5"), decimal.Decimal(2)]),
        pa.array([None, [1], [2]]),
    ],
    ids=lambda column: str(column.type).split("<")[0],
)
def test_a_null_is_a_null_in_every_type(column: pa.Array) -> None:
    report = run(
        {"x": column},
        expect("column_values_to_not_be_null", column="x"),
        expect("column_values_to_be_unique", column="x"),
    )
    assert (reasons(report), stops(report)) == ({0: ("x is null",)}, [])


def test_a_column_of_nulls_meets_all_but_not_null() -> None:
    report = run(
        {"x": pa.nulls(2)},
        expect("column_values_to_be_between", column="x", min_value=0, max_value=1),
        expect("column_values_to_be_in_set", column="x", value_set=["a"]),
        expect("column_mean_to_be_between", column="x", min_value=0, max_value=1),
    )
    assert reasons(report) == {}
    assert stops(report) == ["x: mean is null, expected between 0 and 1"]


def test_integers_beside_nulls_stay_integers() -> None:
    # As doubles, both large numbers would be 2**53, and 7 would have the three characters "7.0".
    report = run(
        {"x": [2**53, 2**53 + 1, None], "n": [7, 70, None]},
        expect("column_values_to_be_unique", column="x"),
        expect("column_value_lengths_to_equal", column="n", value=1),
    )
    assert reasons(report) == {1: ("n is 70, expected 1 characters",)}


def test_an_empty_table_is_unfit() -> None:
    report = run(
        {"x": pa.array([], pa.float64())},
        expect("column_values_to_not_be_null", column="x"),
        expect("column_values_to_not_be_null", column="y"),
    )
    assert stops(report) == ["0 rows, expected at least 1", "column 'y' is missing, found 'x'"]
    assert not report.is_fit


def test_a_missing_column_stops_the_batch_once_and_the_rest_is_checked() -> None:
    report = run(
        {"x": [1, None], "z": [1, 2]},
        expect("column_values_to_not_be_null", "warning", column="temp"),
        expect("column_values_to_not_be_null", column="temp"),
        expect("column_mean_to_be_between", column="temp", min_value=0),
        expect("column_to_exist", "warning", column="dewp"),
        expect("column_values_to_not_be_null", column="x"),
    )
    [failure] = report.batch_failures
    assert failure.message == "column 'temp' is missing, found 'x', 'z'"
    assert (failure.column, failure.count) == ("temp", 2)
    assert [warning.message for warning in report.warnings] == ["column 'dewp' is missing, found 'x', 'z'"]
    assert reasons(report) == {1: ("x is null",)}


def test_a_column_that_appears_twice_stops_the_batch() -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"])
    report = run(table, expect("column_values_to_not_be_null", column="x"))
    assert stops(report) == ["column 'x' appears 2 times, expected once"]


def test_the_order_of_columns_and_extra_columns_do_not_matter() -> None:
    report = run(
        {"extra": ["a"], "y": [1], "x": [1]},
        expect("column_values_to_not_be_null", column="x"),
        expect("column_values_to_not_be_null", column="y"),
    )
    assert report.is_fit


def test_text_where_numbers_belong_stops_the_batch() -> None:
    between = expect("column_values_to_be_between", column="x", min_value=0, max_value=1)
    report = run({"x": ["0,5", "1"], "y": [1, None]}, between)
    assert stops(report) == [
        (
            "x (string): expect_column_values_to_be_between cannot be evaluated: 'Column values, "
            "min_value, and max_value must either be None or of the same type.'"
        )
    ]
    assert report.row_failures == ()


@pytest.mark.parametrize(
    ("expectation", "message"),
    [
        (
            expect("table_row_count_to_be_between", min_value=5, max_value=9),
            "4 rows, expected between 5 and 9",
        ),
        (expect("table_row_count_to_equal", value=5), "4 rows, expected 5"),
        (
            expect("column_mean_to_be_between", column="x", min_value=3),
            "x: mean is 2, expected at least 3",
        ),
        (
            expect("column_max_to_be_between", column="x", max_value=3, strict_max=True),
            "x: max is 3, expected less than 3",
        ),
        (
            expect("column_proportion_of_non_null_values_to_be_between", column="x", min_value=0.8),
            "x: proportion of non-null values is 0.75, expected at least 0.8",
        ),
        (
            expect("table_columns_to_match_set", column_set=["x", "y"]),
            "columns differ from the set: missing 'y'",
        ),
        (
            expect("column_values_to_be_of_type", column="x", type_="int64"),
            'x: observed \'float64\', expected column values to be of type {"type_": "int64"}',
        ),
    ],
)
def test_a_batch_is_failed_in_one_sentence(expectation: Expectation, message: str) -> None:
    report = run({"x": [1.0, 2.0, 3.0, None]}, expectation)
    assert (stops(report), report.row_failures) == ([message], ())
    assert report.batch_failures[0].check == expectation.type
    assert report.batch_failures[0].count == 4


def test_mostly_fails_each_row_and_the_batch_below_the_share() -> None:
    table = {"x": [1.0, 2.0, 30.0, 40.0, None]}
    between: dict[str, Any] = {"column": "x", "min_value": 0, "max_value": 5}
    half = run(table, expect("column_values_to_be_between", **between, mostly=0.5))
    most = run(table, expect("column_values_to_be_between", **between, mostly=0.9))
    assert [row.position for row in half.row_failures] == [2, 3]
    assert half.row_failures == most.row_failures
    assert stops(half) == []
    assert stops(most) == ["x, expected between 0 and 5: met by 50.0% of the rows, expected at least 90.0%"]


def test_a_warning_is_only_reported() -> None:
    report = run(
        {"x": [1.0, None]},
        expect("column_values_to_not_be_null", "warning", column="x"),
        expect("column_mean_to_be_between", "info", column="x", min_value=3),
    )
    assert report.is_fit
    rows, batch = report.warnings
    assert rows.message == "x, expected a value: 1 of 2 rows"
    assert rows.examples == ("row 1: x is null",)
    assert batch.message == "x: mean is 1, expected at least 3"


def test_a_type_pandas_cannot_hold_is_unreadable() -> None:
    column = pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])])
    with pytest.raises(
        UnreadableError,
        match=r"column 'x' of type sparse_union.* cannot be checked \(.*\); "
        "expected numbers, text, booleans, dates or timestamps",
    ):
        run({"x": column}, expect("column_values_to_not_be_null", column="x"))


def test_a_check_prints_logs_and_writes_nothing(
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with caplog.at_level(logging.WARNING):
        run({"x": ["a"]}, expect("column_mean_to_be_between", column="x", min_value=3))
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []
    assert list(tmp_path.iterdir()) == []


def test_checks_from_several_threads_do_not_mix() -> None:
    def failing(size: int) -> int:
        report = run({"x": [None] * size}, expect("column_values_to_not_be_null", column="x"))
        return len(report.row_failures)

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(failing, range(1, 13))) == list(range(1, 13))
