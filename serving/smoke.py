"""Smoke test: an endpoint must answer real rows with the very bits the batch job wrote for them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import requests

import registry as stage
from serving.errors import DifferentAnswerError, EndpointUnavailableError, ServingError
from storage import live_columns, read_rows

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence
    from typing import Any

    from registry import ModelVersion, Registry
    from storage import S3Settings, Store

_ROWS_PER_REQUEST = 500
_TIMEOUT_S = 60


@dataclass(frozen=True)
class SmokeReport:
    """Rows asked and answered alike, bit for bit, and the version that both came from."""

    url: str
    model: str
    model_version: int
    rows: int


@dataclass(frozen=True)
class Expected:
    """Rows of a predictions table: the raw inputs as JSON records, and what was written for them."""

    version: ModelVersion
    records: list[dict[str, Any]]
    predictions: np.ndarray[tuple[int], np.dtype[np.float32]]


def smoke(url: str, expected: Expected) -> SmokeReport:
    """Send the rows to `POST /invocations` and compare the answers as unsigned 32-bit views.

    Raises `DifferentAnswerError`, naming the first row that differs.
    """
    answers: list[float] = []
    for start in range(0, len(expected.records), _ROWS_PER_REQUEST):
        answers += _ask(url, expected.records[start : start + _ROWS_PER_REQUEST])
    found = np.array(answers, dtype=np.float32)
    wrong = np.flatnonzero(found.view(np.uint32) != expected.predictions.view(np.uint32))
    if len(wrong):
        first = int(wrong[0])
        raise DifferentAnswerError(
            f"{url} answers {len(wrong)} of {len(found)} rows differently from the batch job; the first is"
            f" row {first}: found {found[first]!s}, expected {expected.predictions[first]!s} as version"
            f" {expected.version.version} wrote. Does the endpoint serve another version? Then restart it,"
            " or run the batch job again"
        )
    return SmokeReport(url, expected.version.name, expected.version.version, len(found))


def read_expected(
    table_uri: str, date: dt.date, rows: int, registry: Registry, store: Store, settings: S3Settings
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
    version = stage.find_version(registry, name, number)
    scorer = stage.load(registry, version)
    features = [column.name for column in scorer.columns]
    records: list[dict[str, Any]] = []
    for file in some["input_file"].unique().to_pylist():
        wanted = some.filter(pa.compute.equal(some["input_file"], file))["input_position"].to_pylist()
        records += _raw_rows(file, wanted, features, store)
    return Expected(version, records, some["prediction"].to_numpy())


def _raw_rows(file: str, positions: Sequence[int], features: list[str], store: Store) -> list[dict[str, Any]]:
    folder = file.rpartition("/")[0]
    pinned = next((o for o in store.snapshot(folder).objects if o.uri == file), None)
    if pinned is None:
        raise ServingError(f"{file}, which the predictions were made from, is not there any more")
    found: list[dict[str, Any]] = []
    for batch in read_rows(store.open(pinned), file):
        rows = np.flatnonzero(np.isin(batch.positions, positions))
        found += batch.table.select(features).take(pa.array(rows)).to_pylist()
    return [{name: _json_value(value) for name, value in row.items()} for row in found]


def _json_value(value: Any) -> Any:
    # JSON has no NaN; MLflow reads null as missing, which is what NaN means here.
    return None if isinstance(value, float) and math.isnan(value) else value


def _ask(url: str, records: list[dict[str, Any]]) -> list[float]:
    try:
        response = requests.post(
            f"{url.rstrip('/')}/invocations", json={"dataframe_records": records}, timeout=_TIMEOUT_S
        )
    except requests.RequestException as error:
        raise EndpointUnavailableError(
            f"Nothing answers at {url}: {type(error).__name__}. Start it: mlflow models serve -m"
            " models:/flight-delay/Production --env-manager local"
        ) from error
    if response.status_code != requests.codes.ok:
        raise ServingError(f"{url} answered {response.status_code}: {response.text[:300]}")
    answer = response.json().get("predictions")
    if not isinstance(answer, list) or len(answer) != len(records):
        raise ServingError(f"{url} answered something else than {len(records)} predictions")
    return answer
