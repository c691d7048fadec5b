from __future__ import annotations

import datetime as dt
import decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_jobs.conform import conform
from batch_jobs.errors import UnfitDataError


def number(values: list[str | None]) -> tuple[list[float | None], dict[int, list[str]]]:
    conformed = conform(pa.table({"x": pa.array(values, pa.string())}), {"x": "number"}, "f.csv")
    return conformed.table["x"].to_pylist(), conformed.faults


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3.0), ("-3.5", -3.5), (".5", 0.5), ("5.", 5.0), ("1e3", 1000.0), ("1E-3", 0.001), (" 7 ", 7.0)],
)
def test_plain_numbers_in_text_are_numbers(text: str, value: float) -> None:
    assert number([text]) == ([value], {})


@pytest.mark.parametrize(
    "text",
    [
        "n/a",
        "1,000",
        "3,5",
        "NaN",
        "inf",
        "-Infinity",
        "0x10",
        "1 2",
        "--1",
        "",
        "\uff11",
        "1e",
        "=1+1",
        "\x00",
    ],
)
def test_everything_else_is_a_fault_of_its_row(text: str) -> None:
    values, faults = number(["1", text, "2"])
    assert values == [1.0, None, 2.0]
    assert faults == {1: [f"x is {text!r}, expected a number"]}


def test_a_number_beyond_float64_is_infinite_and_left_to_the_suite() -> None:
    assert number(["1e999", "-1e999"]) == ([float("inf"), float("-inf")], {})


def test_a_long_cell_is_shown_in_part() -> None:
    _, faults = number(["x" * 10_000])
    assert faults[0] == [f"x is {'x' * 80!r}, expected a number"]


def test_null_stays_null() -> None:
    assert number([None, "1"]) == ([None, 1.0], {})


@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5))))
def test_each_cell_is_a_number_null_or_a_fault(cells: list[float | str | None]) -> None:
    texts = [repr(c) if isinstance(c, float) else c for c in cells]
    values, faults = number(texts)
    for position, (cell, value) in enumerate(zip(cells, values, strict=True)):
        if isinstance(cell, float):
            assert value == cell
            assert position not in faults
        else:
            assert (value is None) or cell is not None
            assert (position in faults) == (cell is not None and value is None)


@pytest.mark.parametrize(
    "values",
    [
        pa.array([1, None], pa.int64()),
        pa.array([decimal.Decimal("1.0"), None]),
        pa.array([1.0, None]).dictionary_encode(),
    ],
)
def test_parquet_numbers_become_float64(values: pa.Array) -> None:
    found = conform(pa.table({"x": values}), {"x": "number"}, "f").table["x"]
    assert found.type == pa.float64()
    assert found.to_pylist() == [1.0, None]


def test_float32_stays_what_it_is() -> None:
    values = pa.array([0.1, None], pa.float32())
    assert conform(pa.table({"x": values}), {"x": "number"}, "f").table["x"].combine_chunks() == values


@pytest.mark.parametrize(
    "values",
    [
        pa.array([True]),
        pa.array([dt.datetime(2013, 1, 1, tzinfo=dt.UTC)]),
        pa.array([[1.0]]),
        pa.array([{"a": 1}]),
    ],
)
def test_a_column_of_another_type_makes_the_file_unfit(values: pa.Array) -> None:
    with pytest.raises(UnfitDataError, match=r"f\.parquet holds .* in the column 'x', expected number"):
        conform(pa.table({"x": values}), {"x": "number"}, "f.parquet")


def test_text_keeps_leading_zeros_and_takes_whole_numbers() -> None:
    kinds = {"id": pa.array(["007"]), "big": pa.array(["x"], pa.large_string()), "n": pa.array([42])}
    table = conform(pa.table(kinds), dict.fromkeys(kinds, "text"), "f").table
    assert table.to_pylist() == [{"id": "007", "big": "x", "n": "42"}]


def test_text_does_not_take_fractions() -> None:
    with pytest.raises(UnfitDataError, match="holds double in the column 'id', expected text"):
        conform(pa.table({"id": [1.5]}), {"id": "text"}, "f")


def test_columns_are_found_by_name_and_extra_ones_passed_over() -> None:
    table = pa.table({"extra": [1], "b": np.array([2.0]), "a": ["x"]})
    assert conform(table, {"a": "text", "b": "number"}, "f").table.column_names == ["a", "b"]


def test_a_missing_column_is_named() -> None:
    with pytest.raises(
        UnfitDataError, match=r"s3://b/f\.csv has no column 'b'; expected a, b; found 'a'\. Deliver it again"
    ):
        conform(pa.table({"a": ["x"]}), {"a": "text", "b": "number"}, "s3://b/f.csv")
