"""Our tables in the MLflow database, beside MLflow's own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_STATE

from registry.ledger import Action, Line
from registry.stages import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import Session

metadata = sa.MetaData()

LEDGER = sa.Table(
    "greenroom_ledger",
    metadata,
    sa.Column(
        "number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False
    ),
    sa.Column("at", sa.String(32), nullable=False),
    sa.Column("by", sa.String(255), nullable=False),
    sa.Column("action", sa.String(20), nullable=False),
    sa.Column("model", sa.String(256), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("from_stage", sa.String(20), nullable=False),
    sa.Column("to_stage", sa.String(20), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("digest", sa.String(64)),
    sa.Column("evidence", sa.Text, nullable=False),
    sa.Column("attempt", sa.String(64), nullable=False),
    sa.Column("previous", sa.String(64), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False, unique=True),
    sa.Index("greenroom_ledger_of_version", "model", "version", "number"),
    sa.Index("greenroom_ledger_attempt", "attempt"),
    sa.Index("greenroom_ledger_digest", "digest"),
)

# One row. Whoever updates it first decides first: the write lock of SQLite, a row lock of PostgreSQL.
LOCK = sa.Table(
    "greenroom_lock",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("taken", sa.BigInteger, nullable=False),
)


def take_lock(session: Session) -> None:
    """Wait for every other decision to be over. Held until the transaction ends."""
    taken = session.execute(sa.update(LOCK).values(taken=LOCK.c.taken + 1))
    if taken.rowcount != 1:  # type: ignore[attr-defined]  # of an UPDATE it is there
        raise MlflowException(
            f"The table {LOCK.name} is empty, so nobody can decide. Run: python -m registry init",
            INVALID_STATE,
        )


def newest(session: Session) -> Line | None:
    """Return the last line of the ledger."""
    row = session.execute(sa.select(LEDGER).order_by(LEDGER.c.number.desc()).limit(1)).first()
    return _line(row) if row else None


def newest_number(asked: sa.Connection | Session) -> int:
    """Return the number of the last line of the ledger, 0 where there is none."""
    return asked.scalar(sa.select(sa.func.max(LEDGER.c.number))) or 0


def append(session: Session, **said: Any) -> Line:
    """Write the next line. The lock must be held."""
    line = Line.following(newest(session), **said)
    plain = line.to_plain()
    session.execute(sa.insert(LEDGER).values({**plain, "evidence": json.dumps(plain["evidence"])}))
    return line


def lines(
    session: Session,
    model: str | None = None,
    version: int | None = None,
    *,
    after: int = 0,
    limit: int | None = None,
) -> list[Line]:
    """Return lines with a number above `after`, oldest first: of all models, of one, of one version."""
    query = sa.select(LEDGER).where(LEDGER.c.number > after).order_by(LEDGER.c.number).limit(limit)
    if model is not None:
        query = query.where(LEDGER.c.model == model)
    if version is not None:
        query = query.where(LEDGER.c.version == version)
    return [_line(row) for row in session.execute(query)]


def of_attempt(session: Session, attempt: str) -> list[Line]:
    """Return what an attempt has written already."""
    query = sa.select(LEDGER).where(LEDGER.c.attempt == attempt).order_by(LEDGER.c.number)
    return [_line(row) for row in session.execute(query)]


def all_lines(session: Session, page: int = 1000) -> Iterator[Line]:
    """Yield the whole ledger, a page in memory at a time."""
    after = 0
    while found := lines(session, after=after, limit=page):
        yield from found
        after = found[-1].number


def _line(row: sa.Row[Any]) -> Line:
    plain = dict(row._mapping)  # noqa: SLF001  # SQLAlchemy's public name for it
    return Line(
        **{
            **plain,
            "action": Action(plain["action"]),
            "from_stage": Stage(plain["from_stage"]),
            "to_stage": Stage(plain["to_stage"]),
            "evidence": json.loads(plain["evidence"]),
        }
    )
