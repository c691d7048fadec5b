"""What clients say of answers later is read strictly: no guess about what was meant, and no echo of it."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.contract.outcome_bodies import Outcome, read_outcomes
from serving.contract.refusals import RequestError

JSON = "application/json"
_IDS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=20)
_NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)


def read(body: object, most: int = 1000) -> tuple[Outcome, ...]:
    return read_outcomes(JSON, body if isinstance(body, bytes) else json.dumps(body).encode(), most)


@given(st.lists(st.tuples(_IDS, st.integers(0, 2**31 - 1), _NUMBERS), min_size=1, max_size=5))
def test_what_is_said_is_read(said: list[tuple[str, int, float]]) -> None:
    body = {"outcomes": [{"prediction_id": n, "row": r, "outcome": o} for n, r, o in said]}
    assert read(body) == tuple(Outcome(name, row, float(outcome)) for name, row, outcome in said)


def test_the_row_is_the_first_where_none_is_said() -> None:
    assert read({"outcomes": [{"prediction_id": "a", "outcome": 1}]}) == (Outcome("a", 0, 1.0),)
    [seventh] = read(one(row=7.0))
    assert (seventh.row, type(seventh.row)) == (7, int)


def one(**changed: object) -> dict[str, object]:
    outcome = {"prediction_id": "xq7", "row": 0, "outcome": 1.0} | changed
    return {"outcomes": [{name: value for name, value in outcome.items() if value is not ...}]}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "The body is not JSON"),
        (b'{"outcomes": [{"prediction_id": "xq7", "outcome": NaN}]}', "JSON has no NaN"),
        (b'{"outcomes": [{"prediction_id": "xq7", "outcome": Infinity}]}', "no Infinity"),
        (b'{"outcomes": [{"prediction_id": "xq7", "outcome": 1e999}]}', "finite number|not JSON"),
        (b'{"outcomes": [{"prediction_id": "xq7", "outcome": 0, "outcome": 1}]}', "A key comes twice"),
        (b'{"outcomes": [{"prediction_id": "x:7", "row": 1, "row": 1, "outcome": 1}]}', "A key comes twice"),
        ([], "not an object with 'outcomes'"),
        ({"outcomes": {}}, "not an object with 'outcomes'"),
        ({**one(), "more": 1}, "and nothing else"),
        ({"outcomes": []}, "found 0 outcomes, expected 1 to 1,000"),
        ({"outcomes": ["xq7"]}, "row 0: found text, expected an object"),
        (one(outcome=None), "row 0, column 'outcome': found null, expected a finite number"),
        (one(outcome="1"), "found text, expected a finite number"),
        (one(outcome=True), "found true or false, expected a finite number"),
        (one(outcome=...), "column 'outcome': found no such key"),
        (one(prediction_id=...), "column 'prediction_id': found no such key"),
        (one(prediction_id=7), "column 'prediction_id': found a whole number"),
        (one(prediction_id=""), "column 'prediction_id': found text"),
        (one(prediction_id="x" * 129), "up to 128 characters"),
        (one(prediction_id="xq7 é"), "column 'prediction_id': found text"),
        (one(prediction_id="xq7\n"), "column 'prediction_id': found text"),
        (one(row=-1), "a whole number from 0"),
        (one(row=0.5), "a whole number from 0"),
        (one(row=2**31), "a whole number from 0"),
        (one(row=True), "a whole number from 0"),
        (one(weight=1), "found 1 keys that are not known, expected only 'outcome', 'prediction_id', 'row'"),
    ],
)
def test_what_can_not_be_meant_is_refused_and_not_repeated(body: object, said: str) -> None:
    with pytest.raises(RequestError, match=said) as refused:
        read(body)
    assert refused.value.status == 400
    assert "xq7" not in refused.value.message


def test_too_many_are_refused_and_only_the_first_faults_are_told() -> None:
    with pytest.raises(RequestError, match="found 4 outcomes, expected 1 to 3 in one request") as refused:
        read({"outcomes": [{"prediction_id": "a", "outcome": 1}] * 4}, most=3)
    assert refused.value.status == 413
    with pytest.raises(RequestError, match="and 90 more") as refused:
        read({"outcomes": [{"prediction_id": "a", "outcome": None}] * 100})
    assert len(refused.value.faults) == 10


def test_another_content_type_is_not_read() -> None:
    with pytest.raises(RequestError, match="none that is read here, expected application/json") as refused:
        read_outcomes("text/csv", b"prediction_id,outcome\na,1\n", 10)
    assert refused.value.status == 415


@given(st.binary(max_size=60) | st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["outcomes", "prediction_id", "row", "outcome"]), inner, max_size=4), max_leaves=12,
).map(lambda said: json.dumps(said).encode()))  # fmt: skip
def test_whatever_is_sent_is_read_or_refused(body: bytes) -> None:
    refusal = None
    try:
        found = read(body)
    except RequestError as error:
        refusal, found = error, ()
    assert all(math.isfinite(outcome.outcome) for outcome in found)
    assert refusal is None or refusal.status in {400, 413}
