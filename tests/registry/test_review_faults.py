"""The database fails in the middle of a decision: nothing is half done, and the caller hears the truth."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa
from review_house import ENGINES, EXHAUSTIVE, House, open_house

import registry
from deploy.errors import ServiceFailedError
from registry import Act

pytest_plugins = ["review_fixtures"]


@contextmanager
def failing_writes(house: House, action: str) -> Iterator[None]:
    """Have the database refuse ledger lines of one action, as a full disk would."""
    name = "disk_is_full"
    if house.engine == "sqlite":
        body = "BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
        made = [
            f"CREATE TRIGGER {name} BEFORE INSERT ON greenroom_ledger WHEN NEW.action = '{action}' {body}"
        ]
        gone = [f"DROP TRIGGER {name}"]
    else:
        refuse = "RAISE EXCEPTION 'the disk is full'"
        body = f"BEGIN IF NEW.action = '{action}' THEN {refuse}; END IF; RETURN NEW; END"
        run = f"BEFORE INSERT ON greenroom_ledger FOR EACH ROW EXECUTE FUNCTION {name}()"
        made = [
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $${body}$$",
            f"CREATE TRIGGER {name} {run}",
        ]
        gone = [f"DROP FUNCTION {name}() CASCADE"]
    house.sql(*made)
    try:
        yield
    finally:
        house.sql(*gone)


@pytest.mark.parametrize("action", ["approved", "archived", "promoted"])
def test_a_line_that_cannot_be_written(house: House, model: str, action: str) -> None:
    """The first, one in the middle, and the last: no transition without all of them."""
    house.live(model)
    house.staged(model)
    before = house.lines()
    with failing_writes(house, action):
        answer = house.ask("rita", "approve", model, 2)
        assert answer.status_code in {400, 500}, answer.text
        assert "the disk is full" in answer.text
        moved = house.mlflow(
            "rita",
            "POST",
            "model-versions/transition-stage",
            name=model,
            version="2",
            stage="Production",
            archive_existing_versions=True,
        )
        assert moved.status_code in {400, 500}
    assert house.stages(model) == {1: "Production", 2: "Staging"}
    assert house.lines() == before
    house.decide("rita", Act.APPROVE, model, 2)
    assert house.stages(model) == {1: "Archived", 2: "Production"}


@pytest.mark.parametrize("action", ["registered", "deleted"])
def test_no_version_comes_or_goes_without_its_line(house: House, model: str, action: str) -> None:
    house.register(model)
    with failing_writes(house, action):
        if action == "registered":
            with pytest.raises(registry.RegistryError, match="the disk is full"):
                house.register(model)
        else:
            answer = house.mlflow("admin", "DELETE", "registered-models/delete", name=model)
            assert answer.status_code in {400, 500}
    assert house.stages(model) == {1: "None"}


@contextmanager
def locked(house: House, seconds: float) -> Iterator[None]:
    """Hold the lock that every decision takes, from a connection of our own."""
    taken = threading.Event()

    def hold() -> None:
        with house.database.connect() as connection:
            if house.engine == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            connection.execute(sa.text("UPDATE greenroom_lock SET taken = taken"))
            taken.set()
            time.sleep(seconds)
            connection.rollback()

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    yield
    thread.join()


def test_a_decision_waits_for_the_lock(house: House, model: str) -> None:
    house.staged(model)
    with locked(house, 1.0):
        started = time.monotonic()
        answer = house.ask("rita", "approve", model, 1)
        assert answer.status_code == 200, answer.text
        assert time.monotonic() - started > 0.5
    assert house.stages(model) == {1: "Production"}


@pytest.mark.skipif(not EXHAUSTIVE, reason="waits for 25 seconds; set GREENROOM_EXHAUSTIVE=1")
def test_a_database_that_stays_locked(sqlite_house: House, model: str) -> None:
    sqlite_house.staged(model)
    with locked(sqlite_house, 25.0):
        answer = sqlite_house.ask("rita", "approve", model, 1)
        assert answer.status_code == 503, answer.text
        assert answer.json()["error_code"] == "TEMPORARILY_UNAVAILABLE"
    assert sqlite_house.stages(model) == {1: "Staging"}
    assert sqlite_house.ask("rita", "approve", model, 1).status_code == 200


def test_an_empty_lock(house: House, model: str) -> None:
    """Nobody decides without the lock: on PostgreSQL two could at once."""
    house.staged(model)
    house.sql("DELETE FROM greenroom_lock")
    try:
        answer = house.ask("rita", "approve", model, 1)
        assert "The table greenroom_lock is empty" in answer.json()["message"]
        assert "Run: python -m registry init" in answer.json()["message"]
    finally:
        house.sql("INSERT INTO greenroom_lock (id, taken) VALUES (1, 0)")
    assert house.stages(model) == {1: "Staging"}


def test_a_server_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    at = registry.connect({"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"})
    for attempt in (
        lambda: registry.decide(at, Act.APPROVE, "x", 1, "so"),
        lambda: registry.list_requests(at),
        lambda: [*registry.read_history(at)],
    ):
        with pytest.raises(registry.RegistryUnavailableError, match="the MLflow server does not answer"):
            attempt()


def test_every_connection_cut(postgresql_house: House, model: str) -> None:
    """As a restart of PostgreSQL does: at worst one call fails, as a whole, and says so."""
    house = postgresql_house
    house.staged(model)
    house.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname LIKE current_database() || '%' AND pid <> pg_backend_pid()"
    )
    attempt = f"cut {model}"
    answers: list[requests.Response] = []
    while not answers or (answers[-1].status_code != 200 and len(answers) < 10):
        answers.append(house.ask("rita", "approve", model, 1, attempt=attempt))
    assert answers[-1].status_code == 200, answers[-1].text
    assert {answer.status_code for answer in answers[:-1]} <= {500, 503}
    assert house.stages(model) == {1: "Production"}
    assert len([line for line in house.lines() if line.attempt == attempt]) == 2


@pytest.mark.skipif(not EXHAUSTIVE, reason="starts servers of its own; set GREENROOM_EXHAUSTIVE=1")
@pytest.mark.parametrize("engine", ENGINES)
def test_a_server_on_a_broken_installation_does_not_start(
    engine: str, tmp_path: Path, new_database: Callable[[str], str]
) -> None:
    with open_house(engine, tmp_path / "own", new_database) as house:
        house.server.kill()
        with house.database.begin() as connection:
            house.drop_guard(connection, "greenroom_stage_needs_line", "model_versions")
        with pytest.raises(ServiceFailedError, match="greenroom_stage_needs_line is missing"):
            house.server.start()
        assert "Run: python -m registry init" in house.server.log.read_text()
