"""A receiver of webhooks on loopback, and MLflow's registry on both engines, for the tests of events."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hooked import Receiver
from mlflow.store.model_registry.dbmodels.models import SqlWebhook, SqlWebhookEvent
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from needs import skip_or_fail
from sqlalchemy import delete

from deploy.errors import MissingProgramError
from deploy.postgresql import create_database, running_postgresql
from registry.server import events
from registry.server.events.tables import events as table


@pytest.fixture
def new_receiver() -> Iterator[Callable[..., Receiver]]:
    servers = []

    def start(answers: list[int] | None = None, *, port: int = 0, location: str = "") -> Receiver:
        receiver = Receiver(answers or [], location)
        receiver.open.set()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.handle(self)

            do_GET = do_POST  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        servers.append((server, thread))
        receiver.port = server.server_address[1]
        return receiver

    yield start
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def receiver(new_receiver: Callable[..., Receiver]) -> Receiver:
    return new_receiver()


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def registry_database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, SqlAlchemyStore]]:
    """The address of a database, and MLflow's own store on it; made once for each engine."""
    if request.param == "sqlite":
        yield from _stock_store(f"sqlite:///{tmp_path_factory.mktemp('events')}/mlflow.db")
    else:
        try:
            with running_postgresql() as server:
                yield from _stock_store(create_database(server, "events"))
        except MissingProgramError as error:
            skip_or_fail(str(error))


def _stock_store(uri: str) -> Iterator[tuple[str, SqlAlchemyStore]]:
    store = SqlAlchemyStore(uri)
    events.metadata.create_all(store.engine)
    yield uri, store
    store._dispose_engine()


@pytest.fixture
def stock(
    registry_database: tuple[str, SqlAlchemyStore], monkeypatch: pytest.MonkeyPatch
) -> Iterator[SqlAlchemyStore]:
    """MLflow's store with no webhooks and no events in it, and receivers on loopback allowed."""
    monkeypatch.setenv("MLFLOW_WEBHOOK_ALLOWED_SCHEMES", "http,https")
    monkeypatch.setenv("MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS", "true")
    store = registry_database[1]
    yield store
    with store.engine.begin() as connection:
        for emptied in (table, SqlWebhookEvent.__table__, SqlWebhook.__table__):
            connection.execute(delete(emptied))
