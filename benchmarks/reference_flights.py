"""The flights of the tidymodels introduction to recipes: which rows, what is known of each, and the split.

Source: tidymodels.org, "Preprocess your data with recipes". Its recipe has `flight` and `time_hour` as ids,
which are no predictors; it takes `dep_time` and `air_time`, which are known only after departure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from projects.flight_delay.dataset import departure_day, read_source

if TYPE_CHECKING:
    import numpy.typing as npt

    from projects.declaration import FeatureKind

# What the introduction says of its rows.
ROWS, LATE = 325_819, 52_540

LABEL = "late"
FEATURES: dict[str, FeatureKind] = {
    "dep_time": "number",
    "air_time": "number",
    "distance": "number",
    "origin": "category",
    "dest": "category",
    "carrier": "category",
    "weekday": "category",
    "month": "category",
    "holiday": "category",
}

_LATE_MINUTES = 30
_TRAINED_SHARE = 0.75
_NO_HOLIDAY = "none"
# Those of `timeDate::listHolidays("US")` that there were in 2013: no two on one day, so that a category
# for each says what the recipe's indicators say.
_HOLIDAYS = {
    "2013-01-01": "New Year",
    "2013-01-20": "Inauguration",
    "2013-01-21": "Martin Luther King",
    "2013-02-12": "Lincoln",
    "2013-02-18": "Presidents",
    "2013-02-22": "Washington",
    "2013-03-04": "Pulaski",
    "2013-03-29": "Good Friday",
    "2013-05-27": "Memorial",
    "2013-05-30": "Decoration",
    "2013-07-04": "Independence",
    "2013-09-02": "Labor",
    "2013-10-14": "Columbus",
    "2013-11-05": "Election",
    "2013-11-11": "Veterans",
    "2013-11-28": "Thanksgiving",
    "2013-12-25": "Christmas",
}


@dataclass(frozen=True)
class Split:
    """Rows to train on and rows to test on, with the columns of `FEATURES` and `LABEL`."""

    train: pd.DataFrame
    test: pd.DataFrame


def read_flights() -> pd.DataFrame:
    """Return every flight with a weather observation and no missing value, as the introduction takes them."""
    weather = read_source("weather.csv")[["origin", "time_hour"]]
    flights = read_source("flights.csv.zip").merge(
        weather, on=["origin", "time_hour"], validate="many_to_one"
    )
    taken = flights.dropna(subset=["dep_time", "air_time", "arr_delay"])
    day = departure_day(taken)
    numbers = taken[["dep_time", "air_time", "distance"]].astype("float64")
    return pd.concat([numbers, taken[["origin", "dest", "carrier"]]], axis="columns").assign(
        weekday=pd.to_datetime(day).dt.day_name(),
        month=taken["month"].astype(str),
        holiday=day.map(_HOLIDAYS).fillna(_NO_HOLIDAY),
        **{LABEL: (taken["arr_delay"] >= _LATE_MINUTES).astype("float64")},
    )


def split(flights: pd.DataFrame, seed: int) -> Split:
    """Put a random 3/4 of the rows into training, others for each seed."""
    order: npt.NDArray[np.int64] = np.random.default_rng(seed).permutation(len(flights))
    cut = int(len(flights) * _TRAINED_SHARE)
    return Split(flights.iloc[np.sort(order[:cut])], flights.iloc[np.sort(order[cut:])])
