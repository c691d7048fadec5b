"""What an endpoint does when it is asked for too much: a model that sleeps, with room for three requests."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from served_house import EXHAUSTIVE, MARKER, House, drain, parse_reply, wait_for

from serving.http.gate import Gate
from serving.http.rejections import RejectedError

pytest_plugins = ["served_fixtures"]


def told(sleep_s: float = 0.0, how: str = "", rows: int = 1) -> dict[str, Any]:
    return {"dataframe_records": [{"sleep_s": sleep_s, "how": how, "what": MARKER}] * rows}


@pytest.fixture
def quiet(slow_house: House) -> Iterator[House]:
    """The endpoint with nothing under way, before and after."""
    slow_house.settle()
    yield slow_house
    slow_house.settle()


def test_the_token_is_asked_for_everywhere_but_by_probes(quiet: House) -> None:
    for path in ("/ping", "/health", "/version", "/ready"):
        assert requests.get(quiet.url + path, timeout=60).status_code == 200
    for path in ("/metrics", "/docs", "/openapi.json"):
        assert requests.get(quiet.url + path, timeout=60).status_code == 401
        assert quiet.get(path).status_code == 200
    assert quiet.post(told(), headers={"authorization": f"bearer {quiet.token}"}).status_code == 200
    for wrong in ("", "Bearer", f"Basic {quiet.token}", f"Bearer {quiet.token}x", f"Bearer  {quiet.token}"):
        answer = quiet.post(told(), headers={"authorization": wrong})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["error_code"] == "UNAUTHENTICATED"
        assert str(quiet.token) not in answer.text
    assert str(quiet.token) not in quiet.log


def test_who_is_refused_is_so_before_the_body_is_read(quiet: House) -> None:
    sent = b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
    with quiet.connect() as connection:
        connection.sendall(sent)
        assert b"401" in connection.recv(100)


def test_a_model_that_raises_is_our_fault_and_says_nothing(quiet: House) -> None:
    answer = quiet.post(told(how="raise"), headers={"x-request-id": "that-one"})
    assert (answer.status_code, answer.json()["error_code"]) == (500, "INTERNAL_ERROR")
    assert answer.json()["request_id"] == "that-one"
    assert "cannot bear" not in answer.text
    (line,) = [line for line in quiet.log.splitlines() if "that-one" in line]
    assert '"error":"ValueError"' in line
    assert "greenroom_told.py" in line
    assert "cannot bear" not in quiet.log
    assert MARKER not in quiet.log
    assert quiet.post(told()).json() == {"predictions": [0.0]}


def test_nan_is_null(quiet: House) -> None:
    assert quiet.post(told(how="nan", rows=2)).json() == {"predictions": [None, None]}


def test_what_mlflow_does_not_read_is_a_400(quiet: House) -> None:
    for body in (
        b"{",
        b"[1]",
        b'{"instances":{"x":' + b"[" * 5000 + b"]" * 5000 + b"}}",
        b'{"inputs":' + b"9" * 5000 + b"}",
    ):
        answer = quiet.post(body)
        assert (answer.status_code, answer.json()["error_code"]) == (400, "BAD_REQUEST"), answer.text
    assert quiet.post({"dataframe_records": [{"what": MARKER}]}).status_code == 400
    assert MARKER not in quiet.log


def test_late_answers_are_504_and_keep_their_place_until_the_work_ended(quiet: House) -> None:
    """The model sleeps beyond the deadline of six seconds, one request at a time."""
    with ThreadPoolExecutor(8) as clients:
        began = time.monotonic()
        late = [clients.submit(quiet.post, told(sleep_s=9.0)) for _ in range(3)]
        wait_for(lambda: quiet.metric("in_flight_requests") == 4)
        turned_away = clients.submit(quiet.post, told()).result()
        assert turned_away.status_code == 503
        assert turned_away.headers["retry-after"] == "1"
        assert "3 requests wait for this worker already" in turned_away.json()["message"]
        assert time.monotonic() - began < 9, "who is turned away does not wait"
        assert quiet.get("/ping").status_code == 200
        answers = [each.result() for each in late]
    assert [a.status_code for a in answers] == [504, 504, 504]
    assert answers[0].json()["error_code"] == "DEADLINE_EXCEEDED"
    # Nobody waits any more, but two of them are still under way in threads: there is one place.
    assert 503 in _three_at_once(quiet)
    # The second sleeps after the first. Then all is as it was.
    wait_for(lambda: _three_at_once(quiet) == [200, 200, 200])
    assert time.monotonic() - began >= 18


def _three_at_once(asked: House) -> list[int]:
    with ThreadPoolExecutor(3) as clients:
        return [answer.status_code for answer in clients.map(asked.post, [told()] * 3)]


def test_requests_that_wait_behind_another_give_their_places_back_when_their_client_leaves(
    quiet: House,
) -> None:
    for _ in range(2):
        body = json.dumps(told(sleep_s=0.8)).encode()
        head = f"Authorization: Bearer {quiet.token}\r\nContent-Length: {len(body)}\r\n\r\n"
        one = b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        with quiet.connect() as connection:
            connection.sendall((one + head.encode() + body) * 3)
            wait_for(lambda: quiet.metric("in_flight_requests") == 2)
        quiet.settle()
    assert _three_at_once(quiet) == [200, 200, 200]


def test_under_overload_it_answers_some_and_turns_away_the_rest(quiet: House) -> None:
    found: list[int] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            found.append(quiet.post(told(sleep_s=0.02)).status_code)

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        assert requests.get(f"{quiet.url}/ping", timeout=20).status_code == 200
        time.sleep(0.1)
    over.set()
    for thread in threads:
        thread.join()
    assert set(found) == {200, 503}
    quiet.settle()
    assert quiet.post(told()).status_code == 200


def test_more_connections_than_may_be_are_turned_away(quiet: House) -> None:
    open_ones = [quiet.connect() for _ in range(39)]
    try:
        wait_for(lambda: _is_turned_away(quiet))
    finally:
        for each in open_ones:
            each.close()
    wait_for(lambda: not _is_turned_away(quiet))


def _is_turned_away(asked: House) -> bool:
    with asked.connect() as one, asked.connect() as other:
        one.settimeout(0.5)
        other.settimeout(0.5)
        try:
            found = drain(other, 0.5)
        except TimeoutError:
            return False
        reply = parse_reply(found)
        assert (reply.status, reply.headers["retry-after"]) == (503, "1")
        return True


def _ask(asked: House, how: str) -> None:
    if how == "leaves":
        with asked.connect() as connection:
            connection.sendall(b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
        return
    if how == "leaves others behind":
        with asked.connect() as connection:
            token = f"Authorization: Bearer {asked.token}\r\n".encode()
            one = b"POST /invocations HTTP/1.1\r\nHost: localhost\r\n" + token + b"Content-Length: 1\r\n\r\n{"
            connection.sendall(one * 5)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        return
    if how == "bad":
        assert asked.post(b"{").status_code in {400, 503}
    elif how == "foreign":
        assert asked.post(told(), headers={"host": "evil.example"}).status_code == 421
    elif how == "no token":
        assert requests.post(f"{asked.url}/invocations", data=b"{}", timeout=60).status_code == 401
    elif how == "large":
        body = b'{"inputs":[' + b"1," * 40_000 + b"1]}"
        assert asked.post(body).status_code in {400, 503}
    else:
        assert asked.post(told(how=how)).status_code in {200, 500, 503}


@settings(
    max_examples=30 if EXHAUSTIVE else 4,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    acts=st.lists(
        st.sampled_from(
            ["", "raise", "nan", "bad", "foreign", "no token", "large", "leaves", "leaves others behind"]
        ),
        min_size=5,
        max_size=25,
    )
)
def test_no_sequence_of_requests_leaves_anything_under_way(slow_house: House, acts: list[str]) -> None:
    with ThreadPoolExecutor(6) as clients:
        list(clients.map(lambda how: _ask(slow_house, how), acts))
    slow_house.settle()
    # Three places, all of them free: none was lost on the way.
    with ThreadPoolExecutor(3) as clients:
        assert {a.status_code for a in clients.map(slow_house.post, [told(sleep_s=0.1)] * 3)} == {200}


@given(
    steps=st.lists(st.tuples(st.sampled_from(["admit", "leave"]), st.integers(1, 5)), max_size=60),
    most=st.integers(1, 6),
)
def test_the_gate_lets_in_as_many_as_may_and_not_one_more(steps: list[tuple[str, int]], most: int) -> None:
    gate, inside = Gate(most, 100), 0
    for act, times in steps:
        for _ in range(times):
            if act == "admit":
                assert gate.admit() is (inside < most)
                inside = min(inside + 1, most)
            elif inside:
                gate.leave()
                inside -= 1
        assert gate.waiting == inside


@given(sizes=st.lists(st.integers(0, 60), min_size=1, max_size=10))
def test_the_gate_holds_as_many_bytes_as_may(sizes: list[int]) -> None:
    gate = Gate(1, 100)
    with gate.holding() as first:
        first.grow_to(50)
        for size in sizes:
            with gate.holding() as held:
                if size > 50:
                    with pytest.raises(RejectedError, match="Bodies of 100 bytes are arriving"):
                        held.grow_to(size)
                else:
                    held.grow_to(size)
                assert gate.held_bytes == (50 if size > 50 else 50 + size)
            assert gate.held_bytes == 50
    assert gate.held_bytes == 0
