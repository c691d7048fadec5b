"""What an operator does to the database itself: install, check, read the ledger without a server."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import sqlalchemy as sa
from mlflow.exceptions import MlflowException
from mlflow.store.db.utils import _verify_schema
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from registry.errors import RegistryError, RegistryUnavailableError
from registry.server import clock, install, tables
from registry.server.agreement import find_disagreements
from registry.server.events import list_undelivered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Engine

    from registry.ledger import Line

_SCHEME = "greenroom+"


def init(database: str) -> list[str]:
    """Install what is missing, MLflow's own tables too; return what was done, one sentence each."""
    uri = _checked(database)
    with _said_plainly(uri):
        # MLflow would try for minutes.
        reachable = sa.create_engine(uri, poolclass=sa.NullPool)
        reachable.connect().close()
    try:
        # MLflow makes its own schema, or says that it must be upgraded first.
        engine = SqlAlchemyStore(uri).engine
        _verify_schema(engine)
    except MlflowException as error:
        raise RegistryError(f"MLflow cannot use {_shown(uri)}: {str(error)[:500]}") from error
    except SQLAlchemyError as error:
        raise _unreachable(uri, error) from error
    with _said_plainly(uri):
        return install.install(engine, clock.stamp(clock.now()))


def doctor(database: str) -> list[str]:
    """Return what is missing, altered, at odds with the ledger, or undelivered; one sentence each."""
    with _opened(database) as engine:
        if not sa.inspect(engine).has_table("model_versions"):
            return [f"There is no MLflow registry in it yet. Run: python -m registry init {_shown(database)}"]
        problems = install.find_problems(engine)
        if problems:
            return [*problems, f"Run: python -m registry init {_shown(_checked(database))}"]
        with engine.connect() as connection:
            moved = find_disagreements(connection)
        return [*moved, *_given_up(engine)]


def read_ledger(database: str) -> list[Line]:
    """Return all lines of a ledger, from the database."""
    with _opened(database) as engine, Session(engine) as session:
        return [*tables.all_lines(session)]


def _given_up(engine: Engine) -> list[str]:
    with Session(engine) as session:
        lost = [event for event in list_undelivered(session) if event.given_up]
    return [
        f"The webhook {event.webhook_id} never took the event of line {event.line_number}: {event.last_error}"
        for event in lost
    ]


@contextmanager
def _opened(database: str) -> Iterator[Engine]:
    uri = _checked(database)
    path = sa.make_url(uri).database
    if uri.startswith("sqlite") and path and not _exists(path):
        raise RegistryError(f"There is no file {path}; expected the database of an MLflow server")
    engine = sa.create_engine(uri)
    try:
        with _said_plainly(uri):
            yield engine
    finally:
        engine.dispose()


@contextmanager
def _said_plainly(uri: str) -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise _unreachable(uri, error) from error


def _checked(database: str) -> str:
    uri = database.removeprefix(_SCHEME)
    try:
        url = sa.make_url(uri)
    except sa.exc.ArgumentError as error:
        raise RegistryError(
            f"{database!r:.100} is no database URI; expected sqlite:///FILE or"
            " postgresql+psycopg://USER:PASSWORD@HOST/NAME"
        ) from error
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise RegistryError(f"The database is {url.get_backend_name()!r}, expected sqlite or postgresql")
    return uri


def _unreachable(uri: str, error: SQLAlchemyError) -> RegistryError:
    said = str(getattr(error, "orig", None) or error).splitlines()[0][:300]
    if not isinstance(error, OperationalError):
        return RegistryError(f"Could not use {_shown(uri)}: {said}")
    return RegistryUnavailableError(
        f"Could not use {_shown(uri)}: {said}. Is it running, and is the URI right?"
    )


def _shown(uri: str) -> str:
    return sa.make_url(uri.removeprefix(_SCHEME)).render_as_string(hide_password=True)


def _exists(path: str) -> bool:
    from pathlib import Path

    return path == ":memory:" or Path(path).is_file()
