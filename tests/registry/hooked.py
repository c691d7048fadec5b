"""What the tests of events share: a receiver of webhooks, and short words for lines and rows."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from mlflow.entities.webhook import WebhookEvent
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from registry.ledger import Action, Line
from registry.server import events
from registry.server.events.tables import events as table
from registry.stages import Stage

CREATED = "model_version_alias.created"
DELETED = "model_version_alias.deleted"
SECRET = "known to both"
# The time that lines are made at, and that tests count from.
START = "2025-06-15T15:06:40.000Z"
START_S = 1_750_000_000.0


@dataclass(frozen=True)
class Delivery:
    """One request as the receiver saw it."""

    path: str
    headers: dict[str, str]
    body: bytes
    answered: int

    @property
    def id(self) -> str:
        return self.headers["X-MLflow-Delivery-Id"]

    @property
    def said(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.body)
        return said

    def is_signed_with(self, secret: str) -> bool:
        """The formula of MLflow's documentation."""
        signed = f"{self.id}.{self.headers['X-MLflow-Timestamp']}.{self.body.decode()}"
        digest = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()
        return self.headers["X-MLflow-Signature"] == f"v1,{base64.b64encode(digest).decode()}"


@dataclass
class Receiver:
    """Answers with `answers` in turn, and 200 from then on; waits for `open` before each answer."""

    answers: list[int] = field(default_factory=list)
    location: str = ""
    got: list[Delivery] = field(default_factory=list)
    open: threading.Event = field(default_factory=threading.Event)
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    port: int = 0

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        status = self.answers.pop(0) if self.answers else 200
        self.got.append(Delivery(request.path, dict(request.headers), body, status))
        self.arrived.release()
        self.open.wait(30)
        request.send_response(status)
        if self.location:
            request.send_header("Location", self.location)
        request.send_header("Content-Length", "0")
        request.end_headers()


def webhook(store: SqlAlchemyStore, url: str, *events_of_it: str, secret: str | None = SECRET) -> str:
    """Enter a webhook as MLflow's own routes do; returns its id."""
    subscribed = [WebhookEvent.from_str(event) for event in events_of_it or (CREATED,)]
    entered: str = store.create_webhook("a-hook", url, subscribed, secret=secret).webhook_id
    return entered


def line(
    action: Action,
    number: int = 1,
    *,
    version: int = 1,
    moved: tuple[Stage, Stage] = (Stage.STAGING, Stage.STAGING),
    reason: str = "measured",
) -> Line:
    first = Line.following(
        None,
        at=START,
        by="ruth",
        action=action,
        model="flight-delay",
        version=version,
        from_stage=moved[0],
        to_stage=moved[1],
        reason=reason,
        digest="d1",
        evidence={},
        attempt=f"attempt-{number}",
    )
    numbered = {**first.to_plain(), "number": number}
    return Line.from_plain({**numbered, "hash": Line.from_plain(numbered).computed_hash()})


def requests_of(count: int) -> list[Line]:
    return [line(Action.REQUESTED, number) for number in range(1, count + 1)]


def decide(engine: Engine, *lines: Line) -> None:
    """Commit the events of lines as a decision does."""
    with Session(engine) as session:
        events.enqueue(session, lines)
        session.commit()


def undelivered(engine: Engine) -> list[events.Undelivered]:
    with Session(engine) as session:
        return events.list_undelivered(session)


def rows(engine: Engine) -> int:
    with engine.connect() as connection:
        return len(connection.execute(select(table.c.id)).all())


def wait_until(true: Callable[[], bool], what: str, seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, f"not within {seconds} s: {what}"
        time.sleep(0.02)
