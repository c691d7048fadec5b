"""Puts events in the table, takes them out one by one, and keeps what became of them.

An event is taken by an UPDATE that raises its number of attempts and moves its next attempt past the
lease: of two couriers that try, the database lets one through, on SQLite as on PostgreSQL.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlflow.entities.webhook import WebhookEntity, WebhookStatus
from mlflow.store.model_registry.dbmodels.models import SqlWebhook, SqlWebhookEvent
from sqlalchemy import and_, delete, func, insert, or_, select, update

from registry.server.events.messages import events_of
from registry.server.events.tables import events

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Engine
    from sqlalchemy.orm import Session

    from registry.ledger import Line

# Taken by others meanwhile, most likely; what is due beyond these is found the next time.
_CANDIDATES = 20


@dataclass(frozen=True)
class Claim:
    """An event that is ours to send, until the lease runs out. `attempt` counts from 1."""

    id: int
    attempt: int
    webhook_id: str
    delivery_id: str
    payload: str
    created_ms: int


@dataclass(frozen=True)
class Undelivered:
    """An event that has not arrived: it waits for its next attempt, or was given up."""

    line_number: int
    webhook_id: str
    attempts: int
    last_error: str | None
    given_up: bool


def enqueue(session: Session, lines: Sequence[Line]) -> None:
    """Write the events of one decision's lines, for every active webhook that subscribed.

    Writes only, in the caller's transaction: the events are there if and only if the decision is. Call
    it under the ledger's lock; then the order of the rows is the order of the decisions.

    Raises `sqlalchemy.exc.IntegrityError` where the events of a line were written before.
    """
    made = events_of(lines)
    if not made:
        return
    # Only the columns needed: MLflow decrypts a webhook's secret when it is read, and may not be able to.
    subscribed = session.execute(
        select(SqlWebhook.webhook_id, SqlWebhookEvent.action)
        .join(SqlWebhookEvent, SqlWebhookEvent.webhook_id == SqlWebhook.webhook_id)
        .where(SqlWebhookEvent.entity == WebhookEntity.MODEL_VERSION_ALIAS.value, _is_active())
        .order_by(SqlWebhook.creation_timestamp, SqlWebhook.webhook_id)
    ).all()
    rows = [
        {
            "line_number": event.line.number,
            "webhook_id": webhook_id,
            "delivery_id": event.delivery_id(webhook_id),
            "payload": event.payload,
            "created_ms": _milliseconds(event.line.at),
            "attempts": 0,
            # At once, whatever the clocks of other machines say.
            "next_attempt_ms": 0,
        }
        for event in made
        for webhook_id, action in subscribed
        if action == event.subscription
    ]
    if rows:
        session.execute(insert(events), rows)


def claim(engine: Engine, now_ms: int, lease_ms: int) -> Claim | None:
    """Take one event that is due, the longest overdue first; None where there is none.

    Only the oldest waiting event of a webhook is ever taken, so each webhook hears in order.
    """
    oldest = select(func.min(events.c.id)).where(events.c.next_attempt_ms.is_not(None))
    due = (
        select(events)
        .join(SqlWebhook, SqlWebhook.webhook_id == events.c.webhook_id)
        .where(events.c.id.in_(oldest.group_by(events.c.webhook_id)))
        .where(events.c.next_attempt_ms <= now_ms, _is_active())
        .order_by(events.c.next_attempt_ms, events.c.id)
        .limit(_CANDIDATES)
    )
    # Read and write in transactions of their own: SQLite does not let a reader become a writer late.
    with engine.connect() as connection:
        rows = connection.execute(due).all()
    for row in rows:
        take = (
            update(events)
            .where(
                events.c.id == row.id,
                events.c.attempts == row.attempts,
                events.c.next_attempt_ms == row.next_attempt_ms,
            )
            .values(attempts=row.attempts + 1, next_attempt_ms=now_ms + lease_ms)
        )
        with engine.begin() as connection:
            taken = connection.execute(take).rowcount
        if taken:
            return Claim(
                row.id, row.attempts + 1, row.webhook_id, row.delivery_id, row.payload, row.created_ms
            )
    return None


def record_delivered(engine: Engine, claimed: Claim, now_ms: int) -> None:
    """Book that the event arrived. True however late it is said, so the lease does not matter."""
    arrived = {"delivered_ms": now_ms, "next_attempt_ms": None, "last_error": None}
    with engine.begin() as connection:
        connection.execute(
            update(events).where(events.c.id == claimed.id, events.c.delivered_ms.is_(None)).values(**arrived)
        )


def record_failure(engine: Engine, claimed: Claim, error: str, next_attempt_ms: int | None) -> None:
    """Book why the event did not arrive, and when to try again; None is never.

    Where the lease ran out and another courier took the event, what that one says counts.
    """
    with engine.begin() as connection:
        connection.execute(
            update(events)
            .where(
                events.c.id == claimed.id,
                events.c.attempts == claimed.attempt,
                events.c.delivered_ms.is_(None),
            )
            .values(last_error=error, next_attempt_ms=next_attempt_ms)
        )


def clean(engine: Engine, delivered_before_ms: int) -> None:
    """Remove what was delivered before that time, and all events of webhooks that were deleted."""
    known = select(SqlWebhook.webhook_id).where(SqlWebhook.deleted_timestamp.is_(None))
    with engine.begin() as connection:
        connection.execute(
            delete(events).where(
                or_(events.c.delivered_ms < delivered_before_ms, events.c.webhook_id.not_in(known))
            )
        )


def list_undelivered(session: Session) -> list[Undelivered]:
    """List what has not arrived, oldest first."""
    rows = session.execute(select(events).where(events.c.delivered_ms.is_(None)).order_by(events.c.id))
    return [
        Undelivered(
            row.line_number, row.webhook_id, row.attempts, row.last_error, row.next_attempt_ms is None
        )
        for row in rows
    ]


def _is_active() -> ColumnElement[bool]:
    return and_(SqlWebhook.status == WebhookStatus.ACTIVE.value, SqlWebhook.deleted_timestamp.is_(None))


def _milliseconds(at: str) -> int:
    return round(dt.datetime.fromisoformat(at).timestamp() * 1000)
