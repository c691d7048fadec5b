"""Smoke test: an endpoint must answer real rows with the very bits the batch job wrote for them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import requests

import registry
from serving.errors import DifferentAnswerError, EndpointUnavailableError, ServingError
from storage import live_columns, read_rows

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence
    from typing import Any

    from registry import ModelVersion, Registry
    from registry.scorer import Column
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
        found_there, expected_there = found[first], expected.predictions[first]
        raise DifferentAnswerError(
            f"{_shown(url)} answers {len(wrong)} of {len(found)} rows differently from the batch job; the"
            f" first is row {first}: found {found_there!s}, expected {expected_there!s}, as version"
            f" {expected.version.version} wrote. Does the endpoint serve another version? Then restart it,"
            " or run the batch job again"
        )
    return SmokeReport(url, expected.version.name, expected.version.version, len(found))


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


def _shown(url: str) -> str:
    # An address may be written with a login in it.
    return re.sub(r"//[^/@]*@", "//***@", url)


def _ask(url: str, records: list[dict[str, Any]]) -> list[float]:
    shown = _shown(url)
    try:
        response = requests.post(
            f"{url.rstrip('/')}/invocations", json={"dataframe_records": records}, timeout=_TIMEOUT_S
        )
    except requests.exceptions.InvalidJSONError as error:
        raise ServingError(
            f"The rows hold an infinite number, which cannot be asked in JSON: {error}"
        ) from error
    except requests.RequestException as error:
        raise EndpointUnavailableError(
            f"Nothing answers at {shown}: {type(error).__name__}. Start it with: mlflow models serve"
        ) from error
    try:
        answer = response.json()
    except requests.exceptions.JSONDecodeError:
        answer = None
    predictions = answer.get("predictions") if isinstance(answer, dict) else None
    if not response.ok or not isinstance(predictions, list) or len(predictions) != len(records):
        raise ServingError(
            f"{shown} answered {response.status_code} and not {len(records)} predictions:"
            f" {response.text[:300]}"
        )
    return predictions
