"""Deliveries: a project's example data, put on S3 day by day as an upstream team would."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

    from storage import Store

_UPLOADS_AT_ONCE = 8


@dataclass(frozen=True)
class Delivery:
    """One day (YYYY-MM-DD): rows ready to score, and the outcomes that became known later."""

    day: str
    features: pa.Table
    outcomes: pa.Table


def deliver(
    deliveries: Iterator[Delivery],
    features_uri: str,
    outcomes_uri: str,
    store: Store,
    progress: Callable[[str, int], None],
) -> int:
    """Write each day to `date=YYYY-MM-DD/part-0.parquet` below both URIs; return the rows written.

    A day that is there is written again: the same bytes, and so the same snapshot.
    """
    store.check_bucket(features_uri)

    def write(delivery: Delivery) -> Delivery:
        for uri, table in ((features_uri, delivery.features), (outcomes_uri, delivery.outcomes)):
            store.write(f"{uri}/date={delivery.day}/part-0.parquet", _parquet(table))
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
