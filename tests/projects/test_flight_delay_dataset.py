"""NYC flights as features and outcomes: nothing lost, nothing known too early."""

import re
from functools import cache

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from projects.declaration import read_project
from projects.flight_delay import dataset

# What the schedule says, weeks before the flight. All else is known only when it happens.
SCHEDULE = {
    *("year", "month", "day", "hour", "minute", "time_hour"),
    *("sched_dep_time", "sched_arr_time", "carrier", "flight", "origin", "dest", "distance"),
}


@cache
def source() -> tuple[pd.DataFrame, pd.DataFrame]:
    return dataset.read_source("flights.csv.zip"), dataset.read_source("weather.csv")


@cache
def features() -> pd.DataFrame:
    return dataset.build_features(*source())


def test_every_flight_is_one_row_with_its_own_id() -> None:
    assert len(features()) == 336_776
    assert features()["flight_id"].is_unique
    pattern = re.compile(r"2013-\d\d-\d\d-[A-Z0-9]{2}\d+-(EWR|JFK|LGA)-\d{4}")
    assert features()["flight_id"].map(lambda key: pattern.fullmatch(key) is not None).all()
    assert features()["flight_id"].iloc[0] == "2013-01-01-UA1545-EWR-0515"


def test_the_columns_are_those_declared() -> None:
    project = read_project("flight_delay")
    assert set(features().columns) == {project.row_key, *project.features}
    for name, kind in project.features.items():
        assert pd.api.types.is_float_dtype(features()[name]) == (kind == "number"), name


def test_the_list_of_what_is_known_too_late_is_complete() -> None:
    flights, _ = source()
    assert set(flights.columns) - SCHEDULE == set(dataset.AFTER_DEPARTURE)
    assert set(dataset.AFTER_DEPARTURE).isdisjoint(read_project("flight_delay").features)


@pytest.mark.parametrize("how", ["blank", "scramble"])
def test_nothing_known_after_departure_leaks_into_the_features(how: str) -> None:
    flights, weather = source()
    without = flights.copy()
    shuffled = np.random.default_rng(0).permutation(len(flights))
    for column in dataset.AFTER_DEPARTURE:
        without[column] = None if how == "blank" else flights[column].to_numpy()[shuffled]
    assert_frame_equal(dataset.build_features(without, weather), features())


def test_a_flight_without_weather_keeps_its_row() -> None:
    flights, weather = source()
    bare = features()[dataset.WEATHER].isna().all(axis="columns")
    observed = set(zip(weather["origin"], weather["time_hour"], strict=True))
    asked = zip(flights["origin"], flights["time_hour"], strict=True)
    assert int(bare.sum()) == sum(key not in observed for key in asked) == 1_556

    none_at_all = dataset.build_features(flights.head(100), weather.head(0))
    assert len(none_at_all) == 100
    assert none_at_all[dataset.WEATHER].isna().all(axis=None)


def test_weather_observed_twice_in_an_hour_is_refused_rather_than_doubling_flights() -> None:
    flights, weather = source()
    with pytest.raises(pd.errors.MergeError, match="not a many-to-one merge"):
        dataset.build_features(flights, pd.concat([weather, weather.head(1)]))


def test_the_label_is_more_than_15_minutes_late() -> None:
    outcomes = pd.DataFrame({"arr_delay": [-5.0, 0.0, 15.0, 15.5, 16.0, 900.0, None]})
    label = dataset.label(outcomes)
    assert label.tolist()[:6] == [0, 0, 0, 1, 1, 1]
    assert label.isna().tolist() == [False] * 6 + [True]


def test_a_flight_that_never_arrived_has_no_label() -> None:
    flights, _ = source()
    outcomes = dataset.build_outcomes(flights)
    label = dataset.label(outcomes)
    assert len(outcomes) == len(flights)
    assert int(label.isna().sum()) == int(flights["arr_delay"].isna().sum()) == 9_430
    assert label[flights["dep_time"].isna()].isna().all()
    assert int(label.sum()) == int((flights["arr_delay"] > 15).sum())


def test_deliveries_are_the_365_days_in_order_and_conserve_rows() -> None:
    rows, days = 0, []
    for delivery in dataset.deliveries():
        rows += len(delivery.features)
        days.append(delivery.day)
        keys = delivery.features["flight_id"].to_pylist()
        assert delivery.outcomes is not None
        assert keys == delivery.outcomes["flight_id"].to_pylist()
        assert all(key.startswith(delivery.day) for key in keys[:3] + keys[-3:])
    assert rows == 336_776
    assert days == [str(day.date()) for day in pd.date_range("2013-01-01", "2013-12-31")]


def test_a_source_that_is_not_there_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"has no data file 'trains\.csv'; reinstall it"):
        dataset.read_source("trains.csv")
