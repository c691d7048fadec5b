"""Whether anything has happened: told to who was let in, or shows a ticket of theirs, and to nobody else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
import sqlalchemy as sa
from review_house import House, new_name

import registry
from registry import Act, Changes
from registry.changes import TICKET_HEADER
from registry.server.changes import TellsChanges, Tickets

pytest_plugins = ["review_fixtures"]

PATH = "/api/2.0/greenroom/changes"
NOW = 1_800_000_000.0
TICKETS = Tickets(b"a secret of the server")


def test_a_ticket_is_good_for_ten_minutes() -> None:
    ticket = TICKETS.issue(NOW)
    assert TICKETS.is_good(ticket, NOW)
    assert TICKETS.is_good(ticket, NOW + 599)
    assert not TICKETS.is_good(ticket, NOW + 600)
    # Another worker of the same server knows it, and another server does not.
    assert Tickets(b"a secret of the server").is_good(ticket, NOW)
    assert not Tickets(b"a secret of another").is_good(ticket, NOW)


@pytest.mark.parametrize(
    "made",
    [
        "",
        "{until}",
        "{until}.",
        ".{signed}",
        "{later}.{signed}",
        "{until}.{less}",
        "{until}.{signed}0",
        " {until}.{signed}",
        "{until}.{loud}",
        "9{until}.{signed}",
        "²{until}.{signed}",
        "{until}.é{less}",
        "nan.{signed}",
        "{until}.{signed}.{signed}",
    ],
)
def test_what_is_no_ticket_of_ours_is_none(made: str) -> None:
    until, _, signed = TICKETS.issue(NOW).partition(".")
    known = {"until": until, "signed": signed, "less": signed[:-1], "loud": signed.upper()}
    assert not TICKETS.is_good(made.format(later=int(until) + 1, **known), NOW)


def test_the_number_grows_with_whatever_changes_a_stage(house: House) -> None:
    changes, model = Changes(house.at("olaf")), new_name("changes")

    def number() -> int:
        found = changes.number()
        assert found is not None
        return found

    numbers = [number()]
    house.register(model)
    numbers.append(number())
    house.live(model)
    numbers.append(number())
    house.decide("rita", Act.ARCHIVE, model, 2)
    numbers.append(number())
    assert numbers == sorted(set(numbers)), numbers
    assert number() == numbers[-1]


def test_who_shows_a_ticket_needs_no_login_and_who_has_neither_is_told_nothing(house: House) -> None:
    said = house.call("olaf", "GET", PATH).json()
    assert said.keys() == {"number", "ticket"}
    shown = house.call(None, "GET", PATH, headers={TICKET_HEADER: said["ticket"]})
    assert (shown.status_code, shown.json().keys()) == (200, {"number"})
    assert house.call(None, "GET", PATH).status_code == 401
    for ticket in ("", "1.2", TICKETS.issue(time.time())):
        assert house.call(None, "GET", PATH, headers={TICKET_HEADER: ticket}).status_code == 401
    # It opens nothing else.
    for path in ("/api/2.0/greenroom/ledger", "/api/2.0/mlflow/experiments/search", "/review"):
        assert house.call(None, "GET", path, headers={TICKET_HEADER: said["ticket"]}).status_code == 401
    assert house.call(None, "POST", PATH, headers={TICKET_HEADER: said["ticket"]}).status_code in {401, 405}


def test_a_ticket_that_is_over_is_answered_by_login_with_the_next(house: House) -> None:
    changes = Changes(house.at("olaf"))
    changes._ticket = Tickets(b"of a server that was there before").issue(time.time())
    assert changes.number() is not None
    assert Tickets(b"of a server that was there before").is_good(changes._ticket, time.time()) is False


def test_a_database_that_fails_is_for_mlflow_to_speak_of() -> None:
    passed_on: list[str] = []

    async def mlflow(scope: dict[str, Any], _: object, __: object) -> None:
        passed_on.append(scope["path"])

    layer = TellsChanges(mlflow, sa.create_engine("sqlite://"), TICKETS)  # it has no tables
    headers = [(TICKET_HEADER.encode(), TICKETS.issue(time.time()).encode())]
    scope = {"type": "http", "method": "GET", "path": PATH, "headers": headers}
    asyncio.run(layer(scope, None, None))
    assert passed_on == [PATH]


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """Run an HTTP server that always answers so, and yield its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b"not found"),
        (401, b"who"),
        (200, b"[]"),
        (200, b"{}"),
        (200, b'{"number": "7"}'),
        (200, b"<p>"),
    ],
)
def test_a_server_that_does_not_tell_leaves_it_unknown(status: int, body: bytes) -> None:
    with answering(status, body) as address:
        assert Changes(registry.connect({"MLFLOW_TRACKING_URI": address})).number() is None


def test_a_server_that_is_away_leaves_it_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert Changes(registry.connect({"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"})).number() is None
