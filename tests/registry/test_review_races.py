"""Two things at once that must not both happen, or must happen one after the other."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from review_house import EXHAUSTIVE, House

pytest_plugins = ["review_fixtures"]


@contextmanager
def watched(house: House, model: str) -> Iterator[list[str]]:
    """Look at stages and alias over and over, in one statement; yield what was wrong."""
    wrong: list[str] = []
    over = threading.Event()
    query = sa.text(
        "SELECT"
        " (SELECT count(*) FROM model_versions WHERE name = :m AND current_stage = 'Production') AS live,"
        " (SELECT count(*) FROM registered_model_aliases a JOIN model_versions v ON v.name = a.name"
        " AND v.version = a.version WHERE a.name = :m AND a.alias = 'production'"
        " AND v.current_stage = 'Production') AS named,"
        " (SELECT count(*) FROM registered_model_aliases WHERE name = :m AND alias = 'production') AS aliases"
    )

    def look() -> None:
        engine = sa.create_engine(house.server.database_uri)
        looks = 0
        while not over.is_set() or looks == 0:
            with engine.connect() as connection:
                live, named, aliases = connection.execute(query, {"m": model}).one()
            looks += 1
            if live > 1 or not live == named == aliases:
                wrong.append(f"{live} in Production, {aliases} aliases, {named} of them right")
        engine.dispose()

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield wrong
    finally:
        over.set()
        thread.join()


def test_two_reviewers_let_in_two_versions(house: House, model: str) -> None:
    first, second = house.staged(model).version, house.staged(model).version
    with watched(house, model) as wrong, ThreadPoolExecutor(2) as pool:
        one = pool.submit(house.ask, "rita", "approve", model, first)
        two = pool.submit(house.ask, "rob", "approve", model, second)
        answers = one.result(), two.result()
        assert [answer.status_code for answer in answers] == [200, 200], [answer.text for answer in answers]
    assert wrong == []
    # Both went in, one after the other; the later one is there.
    assert sorted(house.stages(model).values()) == ["Archived", "Production"]
    promoted = [line for line in house.lines() if line.model == model and line.action == "promoted"]
    assert house.stages(model)[promoted[-1].version] == "Production"


def test_two_registrations_at_once(house: House, model: str) -> None:
    house.register(model)
    with ThreadPoolExecutor(5) as pool:
        made = [*pool.map(lambda _: house.register(model).version, range(5))]
    assert sorted(made) == [2, 3, 4, 5, 6]
    assert house.stages(model) == dict.fromkeys(range(1, 7), "None")


@pytest.mark.parametrize("what", ["run", "logged model"])
def test_a_run_deleted_while_its_version_goes_up(house: House, model: str, what: str) -> None:
    """Either the version is up and the run stays, or the run is gone and the version stays down."""
    house.client("ann").create_registered_model(model)
    for number in range(1, 11 if EXHAUSTIVE else 3):
        source, run_id = house.log("ann")
        model_id = source.removeprefix("models:/")
        house.client("ann").create_model_version(
            model, source, run_id, model_id=model_id, await_creation_for=0
        )
        digest = house.newest_lines(model)[number].digest
        verdict: dict[str, object] = {"passed": True, "digest": digest, "metrics": {}, "reasons": []}
        verdict["run_id"] = house.evidence()
        said = {"name": model, "version": number, "attempt": str(uuid.uuid4()), "validation": verdict}
        assert house.call("olaf", "POST", "/api/2.0/greenroom/validations", json=said).ok
        delete = {
            "run": ("POST", "runs/delete", {"run_id": run_id}),
            "logged model": ("DELETE", f"logged-models/{model_id}", {}),
        }[what]
        with ThreadPoolExecutor(2) as pool:
            asked = pool.submit(house.ask, "ann", "request", model, number)
            gone = pool.submit(house.mlflow, "admin", delete[0], delete[1], **delete[2])
            outcome = asked.result().status_code, gone.result().status_code
        assert outcome in {(200, 400), (400, 200)}, (outcome, asked.result().text, gone.result().text)
        assert house.stages(model)[number] == ("Staging" if outcome[0] == 200 else "None")
