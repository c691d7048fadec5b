"""Smoke test: an endpoint must answer real rows with the very bits the batch job wrote for them."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import requests

from serving.errors import DifferentAnswerError, EndpointUnavailableError, ServingError

if TYPE_CHECKING:
    from typing import Any

    from serving.written import Expected

_ROWS_PER_REQUEST = 500
_TIMEOUT_S = 60
_PAUSE_S = 0.25


@dataclass(frozen=True)
class SmokeReport:
    """Rows asked and answered alike, bit for bit, and the version that both came from."""

    url: str
    model: str
    model_version: int
    rows: int


@dataclass(frozen=True)
class _Answer:
    """Predictions of one request, and the version that gave them where the endpoint says it."""

    predictions: list[float]
    version: str | None


def smoke(url: str, expected: Expected, wait_s: float = 30.0) -> SmokeReport:
    """Send the rows to `POST /invocations` and compare the answers as unsigned 32-bit views.

    An endpoint that follows the registry is some seconds behind it: while it names another version
    than the one that is expected, it is asked again, for `wait_s` seconds in all.

    Raises `DifferentAnswerError`, naming the version that answers, or the first row that differs.
    """
    answers: list[float] = []
    until = time.monotonic() + wait_s
    for start in range(0, len(expected.records), _ROWS_PER_REQUEST):
        rows = expected.records[start : start + _ROWS_PER_REQUEST]
        answer = _ask(url, rows)
        while answer.version not in {None, str(expected.version.version)}:
            if time.monotonic() >= until:
                raise DifferentAnswerError(
                    f"{_shown(url)} answers by version {answer.version}, after {wait_s:g} s of waiting;"
                    f" expected version {expected.version.version}, which wrote the predictions. Is it still"
                    " in Production? Then the endpoint's /ready says what hinders it; else run the batch job"
                    " again"
                )
            time.sleep(_PAUSE_S)
            answer = _ask(url, rows)
        answers += answer.predictions
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


def _shown(url: str) -> str:
    # An address may be written with a login in it.
    return re.sub(r"//[^/@]*@", "//***@", url)


def _ask(url: str, records: list[dict[str, Any]]) -> _Answer:
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
    return _Answer(predictions, response.headers.get("X-Model-Version"))
