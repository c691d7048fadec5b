"""Every bad body: a 4xx that says what, where and what was expected, and repeats nothing of it."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
import pytest
from bad_bodies import CASES, ROW, Case, parquet, records
from served_house import MARKER, House

pytest_plugins = ["served_fixtures"]

LONG_TEXT = pa.DictionaryArray.from_arrays(pa.array([0] * 5000, pa.int32()), pa.array(["x" * 2**18]))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_it_says_what_is_wrong(asked: House, case: Case) -> None:
    answer = asked.post(
        case.body,
        f"/models/{case.model}/invocations",
        headers={"x-request-id": "of-this-test", **case.headers},
    )
    said = answer.json()
    assert (answer.status_code, case.says in said["message"]) == (case.status, True), answer.text
    check_schema(said, answer.status_code)
    assert said["request_id"] == answer.headers["x-request-id"] == "of-this-test"
    if case.at is not None:
        assert (said["details"][0]["row"], said["details"][0]["column"]) == case.at
    if case.found is not None:
        assert said["details"][0]["found"] == case.found
    if case.expected is not None:
        assert said["details"][0]["expected"] == case.expected
    assert MARKER not in answer.text
    assert MARKER not in str(answer.headers)


def check_schema(said: Any, status: int) -> None:
    """Hold an error against the one documented form."""
    assert said.keys() == {"error_code", "message", "request_id", "details"}
    assert said["error_code"] == CODES[status]
    assert isinstance(said["message"], str)
    assert "Traceback" not in said["message"]
    assert len(said["details"]) <= 10
    for detail in said["details"]:
        assert detail.keys() == {"row", "column", "found", "expected"}
        assert isinstance(detail["row"], int | None)


CODES = {
    400: "BAD_REQUEST",
    413: "REQUEST_LIMIT_EXCEEDED",
    415: "UNSUPPORTED_MEDIA_TYPE",
}


def test_a_text_repeated_in_parquet_takes_no_memory(asked: House) -> None:
    """A body of kilobytes, in which a text of 256 KiB comes 5,000 times: more than a gigabyte of text."""
    table = pa.table(
        {"carrier": LONG_TEXT, "distance": [1.0] * 5000, "temp": [1.0] * 5000, "origin": ["AA"] * 5000}
    )
    answer = asked.post(**parquet(table, compression="zstd"))
    assert answer.status_code == 200
    assert len(answer.json()["predictions"]) == 5000
    (worker,) = asked.endpoint.workers()
    assert worker.memory_info().rss < 600 * 2**20


def test_a_number_beyond_32_bits_is_explained_as_it_is_scored(asked: House) -> None:
    rows = [ROW, {**ROW, "distance": 1e300}]
    scored = asked.post(records(*rows)).json()["predictions"]
    explained = asked.post(records(*rows, params={"explain": True})).json()
    assert explained["predictions"] == scored
    told = explained["explanations"][1]
    margin = told["base"] + sum(told["contributions"].values())
    assert 1 / (1 + math.exp(-margin)) == pytest.approx(scored[1], abs=1e-5)


def test_nothing_of_it_is_in_the_log_and_nothing_is_left_under_way(asked: House) -> None:
    """After all of the above, in the same worker."""
    asked.settle()
    assert MARKER not in asked.log
    assert "Traceback" not in asked.log
    assert asked.metric("rejections_total", reason="internal") == 0
    assert asked.post(records(ROW)).status_code == 200
