"""The two shipped suites, on the real flights of 2013."""

import math
from typing import Any

import pyarrow as pa
import pytest
from flight_rows import NUMBERS, TEXTS, day, feature_rows

from expectations import Report, check, load_suite

INPUT = load_suite("flight_delay/input")
PREDICTIONS = load_suite("flight_delay/predictions")


def reasons(report: Report) -> dict[int, tuple[str, ...]]:
    return {row.position: row.reasons for row in report.row_failures}


def stops(report: Report) -> list[str]:
    return [failure.message for failure in report.batch_failures]


def spoil(table: pa.Table, column: str, value: Any, position: int = 7) -> pa.Table:
    values = table.column(column).to_pylist()
    values[position] = value
    index = table.column_names.index(column)
    return table.set_column(index, column, pa.array(values, table.schema.field(column).type))


@pytest.fixture(scope="module")
def fit_day() -> pa.Table:
    return day(7, 1)


def test_an_ordinary_day_is_fit(fit_day: pa.Table) -> None:
    report = check(fit_day, INPUT)
    assert report.is_fit
    assert report.rows == 966
    assert report.warnings == ()


@pytest.mark.parametrize(("month", "day_of_month", "rows"), [(11, 28, 634), (11, 27, 1014)])
def test_the_shortest_and_the_longest_day_are_fit(month: int, day_of_month: int, rows: int) -> None:
    report = check(day(month, day_of_month), INPUT)
    assert (report.is_fit, report.rows) == (True, rows)


def test_the_flight_of_17_miles_is_quarantined() -> None:
    report = check(day(7, 27), INPUT)
    assert list(reasons(report).values()) == [("distance is 17, expected between 50 and 12500",)]
    assert stops(report) == []


def test_the_day_without_weather_stops() -> None:
    report = check(day(12, 31), INPUT)
    assert stops(report) == ["temp: proportion of non-null values is 0, expected at least 0.5"]
    assert len(report.row_failures) == report.rows == 776


def test_the_day_before_is_quarantined_in_part() -> None:
    report = check(day(12, 30), INPUT)
    assert stops(report) == []
    assert len(report.row_failures) == 156
    assert set(reasons(report).values()) == {("temp is null",)}


def test_only_rows_without_weather_and_one_flight_are_quarantined_in_the_whole_year() -> None:
    rows = feature_rows()
    table = pa.Table.from_pandas(rows[[*TEXTS, *NUMBERS]], preserve_index=False)
    report = check(table, INPUT)
    assert stops(report) == ["336776 rows, expected between 300 and 2000"]
    assert {failure.column: failure.count for failure in report.row_checks} == {
        "distance": 1,
        "temp": 1573,
    }
    assert len(report.row_failures) == 1574
    # What stops a day: too few rows or too many, or weather for less than half of them.
    by_day = rows.groupby(["month", "day"])["temp"].agg(["size", "count"])
    assert by_day["size"].between(300, 2000).all()
    covered = by_day["count"] / by_day["size"]
    assert covered.index[covered < 0.5].tolist() == [(12, 31)]
    assert covered[covered >= 0.5].min() > 0.8


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("flight_id", None, "flight_id is null"),
        ("carrier", "UAL", "carrier is 'UAL', expected 2 characters"),
        ("origin", "HPN", "origin is 'HPN', expected one of 'EWR', 'JFK', 'LGA'"),
        ("dest", "KIAH", "dest is 'KIAH', expected 3 characters"),
        ("weekday", 3.5, "weekday is 3.5, expected one of 1, 2, 3, 4, 5, 6, 7"),
        ("wind_speed", 1048.36058, "wind_speed is 1048.36058, expected between 0 and 150"),
        ("distance", 1e300, "distance is 1e+300, expected between 50 and 12500"),
    ],
)
def test_a_spoiled_cell_quarantines_its_row(fit_day: pa.Table, column: str, value: Any, reason: str) -> None:
    report = check(spoil(fit_day, column, value), INPUT)
    assert (reasons(report), stops(report)) == ({7: (reason,)}, [])


def test_minutes_stay_below_sixty(fit_day: pa.Table) -> None:
    report = check(spoil(fit_day, "sched_dep_time", 1259.0), INPUT)
    assert reasons(report) == {}
    report = check(spoil(fit_day, "sched_dep_time", 1275.0), INPUT)
    [(position, [reason])] = reasons(report).items()
    assert position == 7
    assert reason.startswith("sched_dep_time is 1275, expected to match /^")


def test_a_carrier_never_seen_is_fit(fit_day: pa.Table) -> None:
    assert check(spoil(fit_day, "carrier", "ZZ"), INPUT).is_fit


def test_infinity_in_any_number_quarantines_the_row(fit_day: pa.Table) -> None:
    table = fit_day
    for position, column in enumerate(NUMBERS):
        table = spoil(table, column, -math.inf if position % 2 else math.inf, position)
    report = check(table, INPUT)
    assert stops(report) == []
    for position, column in enumerate(NUMBERS):
        assert reasons(report)[position][0].startswith(f"{column} is ")
    assert len(report.row_failures) == len(NUMBERS)


def test_a_day_delivered_twice_is_quarantined_by_its_keys(fit_day: pa.Table) -> None:
    report = check(pa.concat_tables([fit_day, fit_day]), INPUT)
    assert len(report.row_failures) == report.rows
    first = fit_day["flight_id"][0].as_py()
    assert reasons(report)[0] == (f"flight_id '{first}' appears 2 times, expected once",)


@pytest.mark.parametrize(
    ("predictions", "rows", "batch"),
    [
        ([0.0, 0.25, 1.0], {}, []),
        (
            [None, math.nan, 0.5],
            {0: ("prediction is null",), 1: ("prediction is null",)},
            [],
        ),
        (
            [-0.25, 0.5, 1.0000001, math.inf],
            {
                0: ("prediction is -0.25, expected between 0 and 1",),
                2: ("prediction is 1.0000001, expected between 0 and 1",),
                3: ("prediction is inf, expected between 0 and 1",),
            },
            ["prediction: mean is inf, expected between 0.02 and 0.9"],
        ),
        ([0.0, 0.0], {}, ["prediction: mean is 0, expected between 0.02 and 0.9"]),
        ([], {}, ["0 rows, expected at least 1"]),
    ],
)
def test_predictions(
    predictions: list[float | None], rows: dict[int, tuple[str, ...]], batch: list[str]
) -> None:
    table = pa.table({"prediction": pa.array(predictions, pa.float32())})
    report = check(table, PREDICTIONS)
    assert (reasons(report), stops(report)) == (rows, batch)
