"""What clients say of answers later: `{"outcomes": [{"prediction_id": "…", "row": 0, "outcome": 1}]}`."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import orjson

from serving.contract.json_bodies import count_colons, refuse_doubled_keys
from serving.contract.refusals import SHOWN, Fault, Faults, RequestError, spelled_kind
from serving.contract.requests import JSON, media_type

_OUTCOMES, _ID, _ROW, _OUTCOME = "outcomes", "prediction_id", "row", "outcome"
_KEYS = {_ID, _ROW, _OUTCOME}
ID_CHARACTERS, HIGHEST_ROW = 128, 2**31 - 1
_IDS = re.compile(rf"[\x21-\x7e]{{1,{ID_CHARACTERS}}}")
_EXPECTED = {
    _ID: f"the X-Prediction-ID of an answer, up to {ID_CHARACTERS} characters",
    _ROW: "a whole number from 0, the place of the row in its request",
    _OUTCOME: "a finite number",
}


@dataclass(frozen=True)
class Outcome:
    """What came of one row of an answer."""

    prediction_id: str
    row: int
    outcome: float


def read_outcomes(content_type: str, body: bytes, most: int) -> tuple[Outcome, ...]:
    """Read a body of outcomes. Raises `RequestError`, naming the place of what is wrong, never its value."""
    if media_type(content_type) != JSON:
        raise RequestError(f"The Content-Type is none that is read here, expected {JSON}", status=415)
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError(
            f"The body is not JSON: {error.msg} (line {error.lineno}, column {error.colno}). JSON has no NaN"
            " and no Infinity: leave out an outcome that is not known"
        ) from None
    found = said.get(_OUTCOMES) if isinstance(said, dict) and len(said) == 1 else None
    if not isinstance(found, list):
        raise RequestError(f"The body is not an object with {_OUTCOMES!r}, a list, and nothing else")
    if not 0 < len(found) <= most:
        wrong = Fault(None, None, f"{len(found):,} outcomes", f"1 to {most:,} in one request")
        raise RequestError(str(wrong), status=413 if found else 400, faults=(wrong,))
    keys, faults = len(said), Faults()
    for place, each in enumerate(found):
        for fault in _faults(place, each):
            faults.add(1, () if len(faults.kept) >= SHOWN else (fault,))
        keys += len(each) if isinstance(each, dict) else 0
    if count_colons(body) != keys:
        refuse_doubled_keys(body)
    faults.check()
    return tuple(Outcome(each[_ID], int(each.get(_ROW, 0)), float(each[_OUTCOME])) for each in found)


def _faults(place: int, each: Any) -> list[Fault]:
    if not isinstance(each, dict):
        return [Fault(place, None, spelled_kind(each), "an object with 'prediction_id' and 'outcome'")]
    found = [
        Fault(place, name, spelled_kind(each[name]) if name in each else "no such key", _EXPECTED[name])
        for name in (_ID, _ROW, _OUTCOME)
        if not (name == _ROW and _ROW not in each) and not _fits(name, each.get(name))
    ]
    unknown = len(each.keys() - _KEYS)
    if unknown:
        expected = f"only {', '.join(map(repr, sorted(_KEYS)))}"
        found.append(Fault(place, None, f"{unknown} keys that are not known", expected))
    return found


def _fits(name: str, value: object) -> bool:
    if name == _ID:
        return isinstance(value, str) and _IDS.fullmatch(value) is not None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if name == _ROW:
        return 0 <= value <= HIGHEST_ROW and value == int(value)  # 7.0 is 7: JSON has one kind of number
    return math.isfinite(value)
