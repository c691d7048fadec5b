"""What a batch job wrote for real rows, and the raw rows themselves, as a client would send them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

import registry
from serving.errors import ServingError
from storage import live_columns, read_rows

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence
    from typing import Any

    from registry import ModelVersion, Registry
    from registry.scorer import Column
    from storage import S3Settings, Store


@dataclass(frozen=True)
class Expected:
    """Rows of a predictions table: the raw inputs as JSON records, and what was written for them."""

    version: ModelVersion
    records: list[dict[str, Any]]
    predictions: np.ndarray[tuple[int], np.dtype[np.float32]]


def read_expected(
    table_uri: str, date: dt.date, rows: int, at: Registry, store: Store, settings: S3Settings
) -> Expected:
    """Read up to `rows` scored rows of a day, and the raw input rows that they came from."""
    columns = ["input_file", "input_position", "prediction", "model", "model_version"]
    filters = [("date", "=", str(date)), ("outcome", "=", "scored")]
    live = live_columns(table_uri, columns, filters, settings)
    if live is None or not len(live):
        raise ServingError(
            f"{table_uri} has no scored rows for {date}; run the batch job first: python -m batch_jobs run"
        )
    some = live.sort_by([("input_file", "ascending"), ("input_position", "ascending")]).slice(0, rows)
    name, number = some["model"][0].as_py(), some["model_version"][0].as_py()
    version = registry.find_version(at, name, number)
    scorer = registry.load(at, version)
    records: list[dict[str, Any]] = []
    for file in some["input_file"].unique().to_pylist():
        wanted = some.filter(pa.compute.equal(some["input_file"], file))["input_position"].to_pylist()
        records += _raw_rows(file, wanted, scorer.columns, store)
    if len(records) != len(some):
        raise ServingError(
            f"Of {len(some)} rows that were scored on {date}, the input holds {len(records)} now: it was"
            " delivered again since. Run the batch job again: python -m batch_jobs run"
        )
    return Expected(version, records, some["prediction"].to_numpy())


def _raw_rows(
    file: str, positions: Sequence[int], columns: Sequence[Column], store: Store
) -> list[dict[str, Any]]:
    folder = file.rpartition("/")[0]
    pinned = next((o for o in store.snapshot(folder).objects if o.uri == file), None)
    if pinned is None:
        raise ServingError(f"{file}, which the predictions were made from, is not there any more")
    found: list[dict[str, Any]] = []
    for batch in read_rows(store.open(pinned), file):
        rows = np.flatnonzero(np.isin(batch.positions, positions))
        found += batch.table.select([c.name for c in columns]).take(pa.array(rows)).to_pylist()
    is_number = {column.name: column.categories is None for column in columns}
    return [{name: _json_value(value, is_number[name]) for name, value in row.items()} for row in found]


def _json_value(value: Any, is_number: bool) -> Any:  # noqa: FBT001  # private, called once
    if value is None or not is_number:
        return value
    # CSV delivers text. JSON has no NaN; MLflow reads null as missing, which is what NaN means here.
    number = float(value)
    return None if math.isnan(number) else number
