"""A real endpoint that records: through kills of workers and recorders, and while S3 is away."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from deltalake import DeltaTable
from endpoints import serving
from faulty_s3 import Fault, FaultyS3, faulty_s3
from local_versions import publish, write_tiny
from requests import ConnectionError as GoneError
from requests.exceptions import ChunkedEncodingError as CutOffError
from routed import arm_of, publish_routes
from served_house import House, wait_for

from serving.routing.buckets import ALL_CHAMPION, quotas, rebalance
from serving.routing.declaration import EntityKey, Guards, Recording
from serving.routing.published import Published
from storage import S3Settings

BODY = {"dataframe_records": [{"carrier": "AA", "distance": 1400.0}, {"carrier": None, "distance": 2.0}]}


@dataclass(frozen=True)
class Room:
    """An endpoint of two workers, and the tables that it records into by way of a proxy."""

    house: House
    root: str
    s3: S3Settings
    faulty: FaultyS3
    cache: Path
    published: Published

    def table(self, name: str) -> list[dict[str, Any]]:
        uri, options = f"{self.root}/{name}", self.s3.delta_options()
        if not DeltaTable.is_deltatable(uri, options):
            return []
        rows: list[dict[str, Any]] = DeltaTable(uri, storage_options=options).to_pyarrow_table().to_pylist()
        return rows

    def has(self, ids: set[str]) -> bool:
        return ids <= {row["prediction_id"] for row in self.table("exposures")}

    def ask(self, number: int = 0) -> str:
        answer = self.house.post(BODY, headers={"X-Entity-Key": f"e-{number}"})
        assert answer.status_code == 200
        return answer.headers["X-Prediction-ID"]

    def recorders(self) -> list[psutil.Process]:
        return self.house.endpoint.beside("serving.recording")


@pytest.fixture(scope="module")
def room(s3: S3Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    cache, root = tmp_path_factory.mktemp("recorded"), f"s3://greenroom/{uuid.uuid4().hex}"
    environment = publish(cache, "tiny", 1, write_tiny(cache / "one"))
    arms = (arm_of("later", "ab", 2, write_tiny(cache / "two", 1), percent=50.0),)
    table = rebalance(ALL_CHAMPION, quotas({"later": 50}))
    record = Recording(f"{root}/exposures", f"{root}/feedback", spool_mib=4)
    published = Published("tiny", arms, table, EntityKey(header="x-entity-key"), record)
    publish_routes(cache, published)
    with faulty_s3(s3) as faulty:
        environment |= {
            "AWS_ENDPOINT_URL_S3": faulty.settings.endpoint or "",
            "AWS_ACCESS_KEY_ID": s3.access_key_id or "",
            "AWS_SECRET_ACCESS_KEY": s3.secret_access_key or "",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        options = ("--offline", "--workers", "2", "--routes", str(cache / "routes"))
        with serving(cache / "log", environment, "tiny", *options) as endpoint:
            found = Room(House(endpoint), root, s3, faulty, cache, published)
            wait_for(lambda: "X-Prediction-ID" in found.house.post(BODY).headers)
            yield found


def test_answers_and_outcomes_are_in_their_tables_soon(room: Room) -> None:
    asked = {room.ask(number): number for number in range(40)}
    one, *others = asked
    said = {"outcomes": [{"prediction_id": each, "outcome": 1} for each in others]}
    said["outcomes"].append({"prediction_id": one, "row": 1, "outcome": 0.0})
    said["outcomes"].append({"prediction_id": "not-yet-known", "outcome": 0.5})
    for _ in range(2):  # a client that heard nothing says it again
        answer = room.house.post(said, path="/feedback")
        assert (answer.status_code, answer.json()) == (202, {"accepted": 41})
    assert room.house.post(said, path="/models/tiny/feedback").status_code == 202
    wait_for(lambda: room.has(set(asked)) and len(room.table("feedback")) >= 3 * 41)
    rows = [row for row in room.table("exposures") if row["prediction_id"] in asked]
    assert len(rows) == 2 * len(asked)
    assert {row["arm"] for row in rows} == {"champion", "later"}
    assert {row["entity"] for row in rows} == {f"e-{number}" for number in range(40)}
    for row in rows:
        assert row["model_version"] == (2 if row["arm"] == "later" else 1)
        assert json.loads(row["features"]) == BODY["dataframe_records"][row["row"]]
    assert len(room.table("feedback")) == 3 * 41


JSON = "application/json"


def body_of(outcome: bytes) -> bytes:
    return b'{"outcomes": [{"prediction_id": "xq7marker", "outcome": %b}]}' % outcome


@pytest.mark.parametrize(
    ("content_type", "body", "status", "said"),
    [
        (JSON, body_of(b"NaN"), 400, "JSON has no NaN"),
        (JSON, body_of(b'"1"'), 400, "expected a finite number"),
        (JSON, body_of(b'1, "outcome": 1'), 400, "A key comes twice"),
        (JSON, b'{"outcomes": []}', 400, "expected 1 to 100,000"),
        (JSON, b'{"outcomes": [%b]}' % b",".join([b"0"] * 100_001), 413, "expected 1 to 100,000"),
        ("text/csv", b"xq7marker", 415, "expected application/json"),
    ],
)
def test_feedback_that_can_not_be_meant_is_refused_in_the_one_schema(
    room: Room, content_type: str, body: bytes, status: int, said: str
) -> None:
    answer = room.house.post(body, path="/feedback", headers={"content-type": content_type})
    assert answer.status_code == status
    found = answer.json()
    assert found.keys() == {"error_code", "message", "request_id", "details"}
    assert said in found["message"]
    assert "xq7marker" not in answer.text


def test_feedback_by_another_method_is_refused(room: Room) -> None:
    assert room.house.get("/feedback").status_code == 405


def test_workers_and_recorders_that_are_killed_lose_and_double_no_answer(room: Room) -> None:
    asked: set[str] = set()
    is_over = threading.Event()

    def keep_asking() -> None:
        number = 0
        while not is_over.is_set():
            try:
                asked.add(room.ask(number))
            except (GoneError, CutOffError):  # its worker was killed with the request in it
                continue
            number += 1

    client = threading.Thread(target=keep_asking)
    client.start()
    try:
        wait_for(room.recorders)
        for _ in range(2):
            time.sleep(1.0)
            for victim in (*room.house.endpoint.workers()[:1], *room.recorders()):
                os.kill(victim.pid, signal.SIGKILL)
    finally:
        is_over.set()
        client.join()
    assert len(asked) > 50
    last = {room.ask(number) for number in range(20)}
    wait_for(lambda: room.has(last))
    ids = [(row["prediction_id"], row["row"]) for row in room.table("exposures")]
    assert len(ids) == len(set(ids))
    # An answer is spooled when it has gone out: each of two workers may have been between the two.
    assert len(asked - {name for name, _ in ids}) <= 2


def test_what_is_answered_while_s3_is_away_is_recorded_when_it_is_back(room: Room) -> None:
    room.faulty.fail(Fault.CLOSED, at=1, onward=True)
    asked = {room.ask(number) for number in range(100)}
    wait_for(lambda: '"not_recorded"' in room.house.log)
    asked |= {room.ask(number) for number in range(100)}
    assert not room.has(asked)
    waiting = room.house.metric("spool_bytes", model="tiny")
    assert 0 < waiting <= room.house.metric("spool_limit_bytes", model="tiny") == 4 * 2**20
    room.faulty.forget()
    wait_for(lambda: room.has(asked))
    wait_for(lambda: '"recorded_again"' in room.house.log)
    ids = [(row["prediction_id"], row["row"]) for row in room.table("exposures")]
    assert len(ids) == len(set(ids))


def test_a_canary_that_breaks_a_guard_is_off_in_every_worker_though_s3_is_away(room: Room) -> None:
    room.faulty.fail(Fault.CLOSED, at=1, onward=True)
    guards = Guards(error_share_at_most=None, latency_ratio_at_most=None, psi_at_most=0.25, at_least=20)
    canary = replace(room.published.arms[0], mode="canary", step=0, since=time.time(), guards=guards)
    publish_routes(room.cache, replace(room.published, arms=(canary,)))

    def is_off() -> bool:
        arms = {
            room.house.post(BODY, headers={"X-Entity-Key": f"e-{n}"}).headers["X-Model-Arm"]
            for n in range(40)
        }
        return arms == {"champion"}

    # Its version always answers the same, and other than the champion's.
    wait_for(is_off)
    assert all(is_off() for _ in range(3))
    said = [room.house.get("/ready").json()["models"][0]["routes"]["arms"][0]["idle"] for _ in range(10)]
    assert all("distributed otherwise than the champion's" in why for why in said)
    assert '"guard_breached"' in room.house.log
    room.faulty.forget()


def test_without_a_place_for_it_feedback_is_refused_with_what_to_do(tmp_path: Path) -> None:
    environment = publish(tmp_path, "tiny", 1, write_tiny(tmp_path / "one"))
    options = ("--offline", "--routes", str(tmp_path / "routes"))
    with serving(tmp_path / "log", environment, "tiny", *options) as endpoint:
        answer = House(endpoint).post({"outcomes": [{"prediction_id": "a", "outcome": 1}]}, path="/feedback")
        assert answer.status_code == 404
        assert answer.json()["message"].startswith(
            "Nothing is recorded of tiny here; an operator says `record:`"
        )
        assert not endpoint.beside("serving.recording")
