"""The table of events on their way: one row per event and webhook."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table, Text

metadata = MetaData()

# Times are Unix milliseconds, as in MLflow's own tables. `next_attempt_ms` is null when there will be
# none: the event was delivered, or given up where `delivered_ms` is null too.
events = Table(
    "greenroom_events",
    metadata,
    # SQLite counts up only what it calls INTEGER.
    Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True),
    Column("line_number", BigInteger(), nullable=False),
    Column("webhook_id", String(256), nullable=False),
    Column("delivery_id", String(36), nullable=False, unique=True),
    Column("payload", Text(), nullable=False),
    Column("created_ms", BigInteger(), nullable=False),
    Column("attempts", Integer(), nullable=False),
    Column("next_attempt_ms", BigInteger()),
    Column("delivered_ms", BigInteger()),
    Column("last_error", Text()),
    # A number is never used twice, so that a late answer cannot be booked on another event.
    sqlite_autoincrement=True,
)

_WAITS = events.c.next_attempt_ms.is_not(None)

Index(
    "greenroom_events_waiting",
    events.c.webhook_id,
    events.c.id,
    sqlite_where=_WAITS,
    postgresql_where=_WAITS,
)
