"""The short way answers as the long way does, whatever comes, and however it is cut."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from one_worker import Worker
from served_house import EXHAUSTIVE

from serving.models.served import BoosterModel

pytest_plugins = ["served_fixtures"]

ROW = {"carrier": "AA", "distance": 1.5, "temp": None, "origin": "B6"}


def post(body: bytes, *lines: str, path: str = "/invocations", kind: str = "application/json") -> bytes:
    head = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Type: {kind}", *lines]
    return "\r\n".join([*head, f"Content-Length: {len(body)}", "", ""]).encode() + body


def records(*rows: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"dataframe_records": rows, **more}).encode()


PLAIN = post(records(ROW))
# A head whose body may be a request like that.
HEAD_OF_PLAIN = post(PLAIN)[: -len(PLAIN)]
# Each as long as the plain one, under the same head, so that only its body can tell.
SPOILED = {
    "a literal": PLAIN.replace(b"null", b" NaN"),
    "a text for a number": PLAIN.replace(b"1.5", b'"1"'),
    "another column": PLAIN.replace(b"temp", b"tamp"),
    "no JSON": PLAIN.replace(b'{"dataframe', b'["dataframe'),
    "a column twice": PLAIN.replace(
        b'"distance": 1.5, "temp": null, "origin": "B6"', b'"distance": 1,"temp":1,"temp":1,"origin":"B6"'
    ),
}
MESSAGES = [
    PLAIN,
    post(records({**ROW, "distance": 7.25})),
    post(records(ROW, ROW, {**ROW, "carrier": "ZZ"})),
    *SPOILED.values(),
    post(records(ROW, params={"explain": True})),
    post(b""),
    post(records(ROW), "X-Request-ID: mine-1"),
    post(records(ROW), "X-Request-ID: not mine, and too odd"),
    post(records(ROW), "Connection: keep-alive"),
    post(records(ROW), "Connection: close"),
    post(records(ROW), "Expect: 100-continue"),
    post(records(ROW), "Host: localhost"),
    post(records(ROW), path="/models/plain/invocations"),
    post(records(ROW), path="/models/other/invocations"),
    post(gzip.compress(records(ROW), mtime=0), "Content-Encoding: gzip"),
    post(records(*[ROW] * 101)),
    post(b"carrier,distance,temp,origin\nAA,1.5,,B6\n", kind="text/csv"),
    post(b"carrier,distance,temp\nAA,1.5,\n", kind="text/csv"),
    PLAIN.replace(b"HTTP/1.1", b"HTTP/1.0"),
    PLAIN.replace(b"localhost", b"elsewhere"),
    PLAIN.replace(b"POST", b"PUT"),
    PLAIN.replace(b"Content-Length", b"Content-Lengthy"),
    b"\r\n" + PLAIN,
    b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(records(ROW)), records(ROW)),
    b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /invocations HTTP/1.1\r\nHost: localhost\r\n\r\n",
    HEAD_OF_PLAIN,
    HEAD_OF_PLAIN.replace(b"/invocations", b"/nowhere"),
    b"\r\n",
    b"no HTTP at all\r\n\r\n",
]


@dataclass(frozen=True)
class Both:
    """Two workers that differ in one thing, and the event loop of both."""

    runner: asyncio.Runner
    short: Worker
    long: Worker

    def hear(self, *pieces: bytes, patient: bool = True) -> tuple[bytes, bool]:
        """Bring both the same; return what both answered, and whether both closed the connection."""
        short = self.runner.run(self.short.hears(pieces, patient=patient))
        long = self.runner.run(self.long.hears(pieces, patient=patient))
        assert unnamed(short.heard) == unnamed(long.heard)
        assert (short.was_closed, short.clocks) == (long.was_closed, long.clocks)
        assert self.short.counts() == self.long.counts()
        return short.heard, short.was_closed


def unnamed(heard: bytes) -> bytes:
    """Take out the ids of our own, which no two requests share."""
    return re.sub(rb"[0-9a-f]{12}-[0-9a-f]+", b"ID", heard)


@pytest.fixture(scope="module")
def both(plain_folder: Path) -> Iterator[Both]:
    with asyncio.Runner() as runner:

        async def make() -> Both:
            return Both(
                runner,
                Worker.of(plain_folder, has_shortcut=True),
                Worker.of(plain_folder, has_shortcut=False),
            )

        yield runner.run(make())


@pytest.fixture
def asked(both: Both) -> Both:
    """The two, of which the one with the shortcut knows the head of `PLAIN`, and no other."""
    both.short.application.shortcut.forget()
    both.hear(PLAIN)
    both.short.entered = both.long.entered = 0
    return both


def test_a_head_that_was_read_before_takes_the_short_way(asked: Both) -> None:
    heard, _ = asked.hear(*[PLAIN] * 5)
    assert (asked.short.entered, asked.long.entered) == (0, 5)
    assert heard.count(b"HTTP/1.1 200 OK\r\n") == 5
    assert heard.count(b"date: today\r\n") == heard.count(b"x-model-version: 3\r\n") == 5
    assert len(set(re.findall(rb"x-request-id: (\S+)\r\n", heard))) == 5


def test_an_answer_begins_with_what_all_have_now(asked: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    asked.hear(PLAIN)
    for worker in (asked.short, asked.long):
        monkeypatch.setattr(worker.state, "default_headers", [(b"date", b"tomorrow")])
    heard, _ = asked.hear(PLAIN)
    assert b"date: tomorrow\r\n" in heard
    assert asked.short.entered == 0


@st.composite
def conversations(draw: st.DrawFn) -> list[bytes]:
    """Draw what a client says, and how a network cuts it: often where a request or its head ends."""
    some = draw(st.lists(st.sampled_from(MESSAGES), min_size=1, max_size=3))
    said = draw(st.lists(st.sampled_from([PLAIN, *some]), min_size=1, max_size=8))
    whole, ends, heads = b"", [0], [0]
    for message in said:
        heads.append(len(whole) + message.find(b"\r\n\r\n") + 4)
        whole += message
        ends.append(len(whole))
    anywhere = st.lists(st.one_of(st.sampled_from(ends + heads), st.integers(0, len(whole))), max_size=8)
    cuts = draw(st.one_of(st.just(ends), st.just(ends + heads), anywhere))
    return [whole[start:end] for start, end in pairwise(sorted({0, len(whole), *cuts}))]


@settings(
    max_examples=20_000 if EXHAUSTIVE else 400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(pieces=conversations())
def test_whatever_is_said_and_however_it_is_cut_both_ways_answer_alike(
    asked: Both, pieces: list[bytes]
) -> None:
    asked.hear(*pieces)


@pytest.mark.parametrize("message", SPOILED.values(), ids=SPOILED)
def test_a_wrong_body_under_a_known_head_is_refused_as_ever(asked: Both, message: bytes) -> None:
    assert len(message) == len(PLAIN)
    heard, is_over = asked.hear(PLAIN, message, PLAIN, PLAIN)
    assert re.findall(rb"HTTP/1.1 ([0-9]{3})", heard) == [b"200", b"400", b"200", b"200"]
    # The wrong one, and the one after it: it had the head forgotten, or each wrong one would be read twice.
    assert (asked.short.entered, is_over) == (2, False)


@pytest.mark.parametrize("blank", [b"\r\n", b"\r\n\r\n", b"\n\r\n\r\n", b"\r\n" * 3])
def test_blank_lines_before_a_head_are_no_head(asked: Both, blank: bytes) -> None:
    """If its length was that of a body that came with it, what followed would need no head at all."""
    rows = records(ROW).ljust(400)
    request = blank + post(rows)
    end_of_blank = request.find(b"\r\n\r\n") + 4
    asked.hear(request[: end_of_blank + 400], request[end_of_blank + 400 :])
    heard, is_over = asked.hear(blank + rows)
    assert b"200 OK" not in heard
    assert is_over


def test_a_client_that_sends_a_blank_line_and_no_more_is_not_kept_for_good(asked: Both) -> None:
    for worker in (asked.short, asked.long):
        for unread in (None, 1):
            wire = asked.runner.run(worker.hears([PLAIN, b"\r\n"], stops_reading_before=unread))
            assert wire.clocks == (False, True)


def test_a_client_that_does_not_read_has_no_more_answered_until_it_does(asked: Both) -> None:
    wire = asked.runner.run(asked.short.hears([PLAIN, PLAIN], patient=False, stops_reading_before=1))
    assert wire.heard.count(b"200 OK") == 2
    assert asked.short.entered == 1
    asked.runner.run(asked.long.hears([PLAIN, PLAIN]))  # both have to have counted as much


def test_a_connection_is_kept_for_as_long_as_its_client_asks(
    asked: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asked.short, "keep_alive_s", 1.0)
    wire = asked.runner.run(asked.short.hears([PLAIN] * 4, pause_s=0.5))
    assert (asked.short.entered, wire.heard.count(b"200 OK"), wire.was_closed) == (0, 4, False)
    wire = asked.runner.run(asked.short.hears([PLAIN], pause_s=1.5))
    assert wire.was_closed
    asked.runner.run(asked.long.hears([PLAIN] * 5))  # both have to have counted as much


@pytest.mark.parametrize(("path", "status"), [("/invocations", b"400"), ("/nowhere", b"404")])
def test_a_body_that_looks_like_a_request_is_none(asked: Both, path: str, status: bytes) -> None:
    """The first is answered when its body was read, the second when its head was."""
    heard, _ = asked.hear(HEAD_OF_PLAIN.replace(b"/invocations", path.encode()), PLAIN, PLAIN)
    assert re.findall(rb"HTTP/1.1 ([0-9]{3})", heard) == [status, b"200"]


def test_what_waits_for_the_answer_before_it_takes_the_long_way(asked: Both) -> None:
    heard, _ = asked.hear(post(records(ROW, params={"explain": True})), PLAIN, PLAIN, patient=False)
    assert [b"explanations" in each for each in heard.split(b"HTTP/1.1")[1:]] == [True, False, False]
    assert asked.short.entered == 3
    heard, _ = asked.hear(PLAIN)
    assert asked.short.entered == 3


def test_what_takes_long_takes_the_long_way_under_a_known_head(asked: Both) -> None:
    explained = post(records(ROW, params={"explain": True}))
    plain = post(records(ROW).ljust(len(records(ROW, params={"explain": True}))))
    asked.hear(plain)
    asked.short.entered = 0
    heard, _ = asked.hear(plain, explained, explained, plain, plain)
    answers = [b"explanations" in each for each in heard.split(b"HTTP/1.1")[1:]]
    assert answers == [False, True, True, False, False]
    assert asked.short.entered == 3


def test_a_head_with_what_comes_once_is_not_remembered(asked: Both) -> None:
    for name in (b"mine-1", b"mine-2", b"mine-2"):
        heard, _ = asked.hear(post(records(ROW), f"X-Request-ID: {name.decode()}"))
        assert b"x-request-id: %b\r\n" % name in heard
    assert asked.short.entered == asked.long.entered == 3


def test_only_what_was_answered_is_remembered(asked: Both) -> None:
    for message in (post(records(ROW), "X-A: 1", path="/models/other/invocations"), SPOILED["no JSON"]):
        asked.short.entered = 0
        asked.hear(message, message, message)
        assert asked.short.entered == 3


def test_while_the_worker_drains_nothing_takes_the_short_way(asked: Both) -> None:
    for worker in (asked.short, asked.long):
        worker.gate.is_draining = True
    try:
        heard, is_over = asked.hear(PLAIN)
    finally:
        for worker in (asked.short, asked.long):
            worker.gate.is_draining = False
    assert b"connection: close\r\n" in heard
    assert is_over


def test_another_version_answers_by_its_name_and_none_by_none(
    asked: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = asked.short.standing.serves
    assert isinstance(served, BoosterModel)
    later = replace(served, version=replace(served.version, number=4))
    answers = []
    for serves in (later, None, served):
        for worker in (asked.short, asked.long):
            monkeypatch.setattr(worker.standing, "serves", serves)
        heard, _ = asked.hear(PLAIN)
        answers += re.findall(rb"HTTP/1.1 (?:503)|x-model-version: [0-9]", heard)
    assert answers == [b"x-model-version: 4", b"HTTP/1.1 503", b"x-model-version: 3"]
    assert asked.short.entered == 1


def test_where_no_more_may_wait_nothing_takes_the_short_way(asked: Both) -> None:
    room = asked.short.gate.most_waiting
    for worker in (asked.short, asked.long):
        worker.gate.most_waiting = 0
    try:
        heard, _ = asked.hear(PLAIN)
    finally:
        for worker in (asked.short, asked.long):
            worker.gate.most_waiting = room
    assert heard.startswith(b"HTTP/1.1 503 ")


def test_a_model_that_fails_fails_by_the_long_way(
    asked: Both, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    served = asked.short.standing.serves

    class Broken:
        def __getattr__(self, name: str) -> Any:
            return getattr(served, name)

        def answer(self, asked: object) -> None:  # noqa: ARG002
            raise ArithmeticError

    for worker in (asked.short, asked.long):
        monkeypatch.setattr(worker.standing, "serves", Broken())
    heard, is_over = asked.hear(PLAIN)
    assert (heard.startswith(b"HTTP/1.1 500 "), is_over) == (True, False)
    assert "failed over request" in caplog.text


def test_heads_are_forgotten_before_they_are_too_many(asked: Both) -> None:
    for number in range(1100):
        asked.hear(post(records(ROW), f"X-A: {number:04}"))
    asked.short.entered = 0
    asked.hear(post(records(ROW), "X-A: 0000"), PLAIN, post(records(ROW), "X-A: 1099"))
    assert asked.short.entered == 2
