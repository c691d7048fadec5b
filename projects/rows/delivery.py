"""Deliveries: a project's example data, put on S3 day by day as an upstream team would."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pyarrow as pa

    from storage import Store

_UPLOADS_AT_ONCE = 8


@dataclass(frozen=True)
class Delivery:
    """One day (YYYY-MM-DD): rows ready to score, and the outcomes that became known later.

    Without `outcomes`, the label is a column of the rows.
    """

    day: str
    features: pa.Table
    outcomes: pa.Table | None = None


def deliver(
    deliveries: Iterator[Delivery],
    locations: Mapping[str, str],
    store: Store,
    progress: Callable[[str, int], None],
) -> int:
    """Write each day to `date=YYYY-MM-DD/part-0.parquet` below the URIs of `features` and `outcomes`.

    Returns the rows written.
    A day that is there is written again: the same bytes, and so the same snapshot.
    """
    store.check_bucket(locations["features"])

    def write(delivery: Delivery) -> Delivery:
        tables = {"features": delivery.features, "outcomes": delivery.outcomes}
        for name, table in tables.items():
            if table is not None:
                store.write(f"{locations[name]}/date={delivery.day}/part-0.parquet", _parquet(table))
        return delivery

    rows = 0
    with ThreadPoolExecutor(_UPLOADS_AT_ONCE) as pool:
        for done in pool.map(write, deliveries):
            rows += len(done.features)
            progress(done.day, len(done.features))
    return rows


def _parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(None), buffer, compression="zstd")
    return buffer.getvalue()
