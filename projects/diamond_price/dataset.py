"""53,940 diamonds with their prices, as upstream delivers them.

Source: `diamonds`, which came with R's ggplot2, in the data files of the PyPI package `plotnine`. The file
is read, the package is not imported.
"""

from __future__ import annotations

from importlib.metadata import files
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterator

    from projects.rows.delivery import Delivery

# The rows say no day. They are delivered in ten parts, as ten days of a shop's stock.
FIRST_DAY, PARTS = "2024-01-01", 10


def deliveries() -> Iterator[Delivery]:
    """Play upstream: the rows in ten deliveries, the price among them."""
    from projects.rows.delivery import Delivery

    diamonds = read_source()
    days = pd.date_range(FIRST_DAY, periods=PARTS).strftime("%Y-%m-%d")
    for part, day in enumerate(days):
        rows = diamonds.iloc[part::PARTS]
        yield Delivery(day=day, features=pa.Table.from_pandas(rows, preserve_index=False))


def read_source() -> pd.DataFrame:
    """Read the file of the installed package; `diamond_id` is the number of the row in it, from 1."""
    for file in files("plotnine") or []:
        if file.name == "diamonds.csv":
            diamonds = pd.read_csv(file.locate())
            numbers = diamonds.select_dtypes("number").columns
            diamonds[numbers] = diamonds[numbers].astype("float64")
            diamonds.insert(0, "diamond_id", [f"diamond-{n:05d}" for n in range(1, len(diamonds) + 1)])
            return diamonds
    raise FileNotFoundError("The package plotnine has no data file diamonds.csv; reinstall it")
