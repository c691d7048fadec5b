"""Inferred suites: the data they come from is fit, spoiled data is not; by Great Expectations itself."""

import datetime as dt
import io
import json
import math
import re
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from flight_rows import day
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyarrow import csv, parquet

from expectations import InferenceError, Report, Suite, check, infer_suites, load_suite, read_facts
from expectations.drafts import draft_files, write
from expectations.slack import widened
from storage import Store

ORDERS = "s3://greenroom/inference/orders"


def orders(day_of_month: int, rows: int = 400) -> pa.Table:
    """One day's orders: whole and broken numbers, a flag, words, nulls, a time, and what was learnt."""
    numbers = range(rows)
    return pa.table(
        {
            "order_id": [f"o-{day_of_month:02d}-{n:04d}" for n in numbers],
            "shop": [("north", "south", "west")[n % 3] for n in numbers],
            "note": [f"left at door {n * 7919 % 379}" for n in numbers],
            "amount": [5.25 + (n * 37 % 400) / 8 for n in numbers],
            "items": [1 + n % 6 for n in numbers],
            "gift": [int(n % 5 == 0) for n in numbers],
            "weight": [None if n % 8 == 0 else 0.5 + n % 11 for n in numbers],
            "ordered_at": [dt.datetime(2024, 3, day_of_month, n % 24) for n in numbers],  # noqa: DTZ001
            "returned": [float(n % 4 == 0) for n in numbers],
        }
    )


def deliver(store: Store, uri: str, tables: dict[str, pa.Table], ending: str = "parquet") -> None:
    for folder, table in tables.items():
        buffer = io.BytesIO()
        parquet.write_table(table, buffer) if ending == "parquet" else csv.write_csv(table, buffer)
        store.write(f"{uri}/{folder}/part-0.{ending}", buffer.getvalue())


def suites_of(store: Store, uri: str, folder: Path, **known: Any) -> tuple[Suite, Suite]:
    """Infer, write down and read again, as users do."""
    ignore = known.pop("ignore", ())
    facts = read_facts(uri, store, ignore=ignore)
    write(draft_files("orders", infer_suites("orders", facts, **known), folder))
    return load_suite(folder / "orders/input.json"), load_suite(folder / "orders/predictions.json")


@pytest.fixture(scope="module")
def inferred(store: Store, tmp_path_factory: pytest.TempPathFactory) -> tuple[Suite, Suite]:
    deliver(store, ORDERS, {f"date=2024-03-0{n}": orders(n, 400 + 20 * n) for n in (1, 2, 3)})
    return suites_of(store, ORDERS, tmp_path_factory.mktemp("orders"), key="order_id", label="returned")


def spoil(table: pa.Table, column: str, value: Any) -> pa.Table:
    values = table.column(column).to_pylist()
    values[7] = value
    return table.set_column(table.column_names.index(column), column, pa.array(values))


def reasons(report: Report) -> list[str]:
    return [*(f.message for f in report.batch_failures), *(r for f in report.row_failures for r in f.reasons)]


def test_the_data_it_came_from_is_fit(inferred: tuple[Suite, Suite]) -> None:
    for n in (1, 2, 3):
        report = check(orders(n, 400 + 20 * n), inferred[0])
        assert reasons(report) == []
    assert not report.warnings


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("order_id", None, "order_id is null"),
        ("order_id", "o-01-0001", "order_id 'o-01-0001' appears 2 times, expected once"),
        ("shop", "noth", "shop is 'noth', expected one of 'north', 'south', 'west'"),
        ("note", "x" * 40, f"note is '{'x' * 40}', expected between 7 and 32 characters"),
        ("amount", 900.0, "amount is 900, expected between 0 and 90"),
        ("amount", -5.0, "amount is -5, expected between 0 and 90"),
        ("amount", math.inf, "amount is inf, expected between 0 and 90"),
        ("amount", None, "amount is null"),
        ("items", 40, "items is 40, expected between 0 and 9"),
        ("gift", 2, "gift is 2, expected one of 0, 1"),
        ("weight", 70.0, "weight is 70, expected between 0 and 16"),
        ("ordered_at", None, "ordered_at is null"),
    ],
)
def test_a_spoiled_cell_is_told(inferred: tuple[Suite, Suite], column: str, value: Any, said: str) -> None:
    assert said in reasons(check(spoil(orders(1), column, value), inferred[0]))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.slice(0, 40), "40 rows, expected between 210 and 920"),
        (
            lambda t: t.drop_columns(["ordered_at"]),
            "column 'ordered_at' is missing, found 'order_id', 'shop'",
        ),
        (
            lambda t: t.set_column(6, "weight", pa.nulls(len(t), pa.float64())),
            "weight: proportion of non-null values is 0, expected at least 0.69",
        ),
        (
            lambda t: t.set_column(3, "amount", pa.array(["cheap"] * len(t))),
            "amount (string): expect_column_values_to_be_between cannot be evaluated",
        ),
    ],
    ids=["few rows", "no column", "all null", "text"],
)
def test_a_spoiled_batch_is_told(inferred: tuple[Suite, Suite], change: Any, said: str) -> None:
    found = reasons(check(change(orders(1)), inferred[0]))
    assert any(reason.startswith(said) for reason in found), found


def test_a_shift_within_the_range_is_warned_of(inferred: tuple[Suite, Suite]) -> None:
    shifted = orders(1).set_column(3, "amount", pa.array([25.25 + (n * 37 % 400) / 8 for n in range(400)]))
    report = check(shifted, inferred[0])
    assert report.is_fit
    [warning] = [warning.message for warning in report.warnings]
    assert re.fullmatch(
        r"amount: divergence from the expected distribution is 0\.[4-9]\d*, expected at most 0\.1", warning
    )


def amounts(*means: float, rows: int = 600) -> dict[str, pa.Table]:
    tables = (np.random.default_rng(n).normal(mean, 1, rows) for n, mean in enumerate(means))
    return {f"date=2024-03-{n:02d}": pa.table({"amount": table}) for n, table in enumerate(tables, 1)}


@pytest.mark.parametrize(
    ("batches", "threshold"),
    [
        (amounts(0, 0, 0), 0.1),
        (amounts(0, 0, 0.8), pytest.approx(0.4, abs=0.15)),  # as far as they are apart themselves, twice
        (amounts(0, 5, 10), None),  # nothing is common to them
        (amounts(0, rows=400), None),  # too few to tell
        ({"a": pa.table({"amount": list(range(1000))})}, None),  # a number that counts up
        ({"a": pa.table({"amount": [n % 20 for n in range(1000)]})}, None),  # a set says more
        ({"a": pa.table({"amount": [0.0] * 950 + [n / 7 for n in range(50)]})}, None),  # nearly always one
    ],
    ids=["alike", "one apart", "all apart", "few", "counting", "set", "one value"],
)
def test_a_distribution_is_expected_where_batches_have_one(
    store: Store, tmp_path: Path, batches: dict[str, pa.Table], threshold: object
) -> None:
    uri = f"s3://greenroom/inference/{uuid.uuid4().hex}"
    deliver(store, uri, batches)
    suite, _ = suites_of(store, uri, tmp_path)
    found = [e.kwargs["threshold"] for e in suite.expectations if "divergence" in e.type]
    assert found == ([] if threshold is None else [threshold])
    assert [warning.message for table in batches.values() for warning in check(table, suite).warnings] == []


@pytest.mark.parametrize(
    ("predictions", "said"),
    [
        ([0.25] * 9, []),
        ([0.25] * 8 + [1.5], ["prediction is 1.5, expected between 0 and 1"]),
        ([0.0] * 9, ["prediction: mean is 0, expected between 0.025 and 0.925"]),
    ],
)
def test_predictions_are_bounded_by_the_label(
    inferred: tuple[Suite, Suite], predictions: list[float], said: list[str]
) -> None:
    assert reasons(check(pa.table({"prediction": predictions}), inferred[1])) == said


def test_a_csv_gives_the_same_suites_as_parquet(
    inferred: tuple[Suite, Suite], store: Store, tmp_path: Path
) -> None:
    uri = "s3://greenroom/inference/as_csv"
    deliver(store, uri, {f"date=2024-03-0{n}": orders(n, 400 + 20 * n) for n in (1, 2, 3)}, "csv")
    found, _ = suites_of(store, uri, tmp_path, key="order_id", label="returned")
    assert found.digest == inferred[0].digest


def test_a_postal_code_in_a_csv_stays_text(store: Store) -> None:
    uri = "s3://greenroom/inference/codes"
    # A number in one file and a word in the next: text, whichever comes first.
    codes = pa.table({"code": ["01234", "99999"]})
    deliver(store, uri, {"a": codes, "b": pa.table({"code": ["1", "2"]})}, "csv")
    column = read_facts(uri, store).columns["code"]
    assert (column.kind, column.shortest, column.longest, column.is_unique) == ("text", 1, 5, True)


def test_flights_are_fit_by_what_is_inferred_from_a_few_days(store: Store, tmp_path: Path) -> None:
    uri = "s3://greenroom/inference/flights"
    deliver(store, uri, {f"date=2013-07-0{n}": day(7, n) for n in (1, 2, 3)})
    suite, _ = suites_of(store, uri, tmp_path, key="flight_id")
    assert [reasons(check(day(7, n), suite)) for n in (1, 2, 3)] == [[], [], []]
    # One line, one expectation, as in the suites that people wrote.
    text = suite.path.read_text()
    assert text.count('    {"type": ') == len(suite.expectations) == len(json.loads(text)["expectations"])
    assert (
        '"kwargs": {"column": "origin", "value_set": ["EWR", "JFK", "LGA"]}, "severity": "critical"}' in text
    )
    assert '"kwargs": {"column": "temp", "min_value": 0.' in text


def test_what_is_in_one_file_and_not_in_another_is_named(store: Store) -> None:
    uri = "s3://greenroom/inference/ragged"
    deliver(store, uri, {"a": pa.table({"x": [1]}), "b": pa.table({"x": [1], "y": [2]})})
    with pytest.raises(InferenceError, match=r"The column 'y' is not in all files: it differs at s3://.*/b"):
        read_facts(uri, store)
    assert list(read_facts(uri, store, ignore=["y"]).columns) == ["x"]
    deliver(store, uri, {"b": pa.table({"x": ["one"]})})
    with pytest.raises(InferenceError, match="The column 'x' holds number in some files and text in others"):
        read_facts(uri, store)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["a", "b", "a"], "The column 'k' has a value more than once in one batch, expected each once"),
        (["a", None, "b"], "The column 'k' is null in 1 of 3 rows, expected a value in each"),
        ([1.5, 2.5, 3.5], "The column 'k' holds numbers with fractions, expected text or whole numbers"),
    ],
)
def test_a_column_that_is_no_key_is_refused(store: Store, values: list[Any], said: str) -> None:
    uri = f"s3://greenroom/inference/key-{len(said)}"
    deliver(store, uri, {"a": pa.table({"k": values})})
    with pytest.raises(InferenceError, match=said):
        infer_suites("keys", read_facts(uri, store), key="k")


ANY = st.lists(st.none() | st.floats() | st.integers(-(2**40), 2**40).map(float), min_size=1, max_size=30)
WORDS = st.lists(st.none() | st.text(max_size=5), min_size=30, max_size=30)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(numbers=ANY, words=WORDS)
@example(numbers=[1.7e308, 1.7e308, 3.0], words=[None] * 30)
def test_whatever_the_values_they_are_fit(
    store: Store, tmp_path: Path, numbers: list[float | None], words: list[str | None]
) -> None:
    table = pa.table(
        {"n": pa.array(numbers, pa.float64()), "w": pa.array(words[: len(numbers)], pa.string())}
    )
    uri = "s3://greenroom/inference/any"
    deliver(store, uri, {"a": table})
    suite, _ = suites_of(store, uri, tmp_path, label="n")
    assert reasons(check(table, suite)) == []
    suite, _ = suites_of(store, uri, tmp_path)
    assert reasons(check(table, suite)) == []


@given(low=st.floats(allow_nan=False, allow_infinity=False), more=st.floats(0, 1e300))
def test_bounds_have_slack_on_both_sides(low: float, more: float) -> None:
    high = low + more
    bounds = widened(low, high, keep_sign=True)
    if bounds:
        assert bounds["min_value"] <= low <= high <= bounds["max_value"]
        assert (low < 0) or bounds["min_value"] >= 0
        assert bounds["max_value"] - bounds["min_value"] <= 3 * max(high - low, abs(high), 1) + 1e-9


def test_facts_are_counted_as_pandas_counts(store: Store) -> None:
    uri = "s3://greenroom/inference/counted"
    tables = {"a": orders(1, 3000), "b": orders(2, 2000)}
    deliver(store, uri, tables)
    whole = pd.concat([table.to_pandas() for table in tables.values()])
    facts = read_facts(uri, store, label="returned")
    for name, column in facts.columns.items():
        assert (column.rows, column.missing) == (5000, whole[name].isna().sum())
        if column.distinct is not None:
            assert column.distinct == pytest.approx(whole[name].nunique(), rel=0.12)
    assert facts.columns["order_id"].is_unique
    assert facts.columns["amount"].mean == pytest.approx(whole["amount"].mean())
    assert facts.columns["ordered_at"].first == dt.date(2024, 3, 1)
    assert facts.columns["ordered_at"].last == dt.date(2024, 3, 2)
    assert not any(column.same_as_label for column in facts.columns.values())
