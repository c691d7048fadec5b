"""Several people decide at once about one model, while somebody else watches: never two in Production."""

from __future__ import annotations

import random
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import requests
import sqlalchemy as sa
from review_house import EXHAUSTIVE, House
from tiny_versions import validate_tiny

from registry import Line

pytest_plugins = ["review_fixtures"]

ROUNDS = 200 if EXHAUSTIVE else 6
VERSIONS = 5
SEED = 7
POLL_S = 0.01
IS_IN = re.compile(r"version (\d+)(?:, which)? is in (None|Staging|Production|Archived)", re.IGNORECASE)
WRITES = {"approve": "approved", "rollback": "rolled back", "archive": "archived", "withdraw": "withdrawn"}

# One statement: a picture of one moment, on both engines.
PICTURE = sa.text(
    "SELECT v.version, v.current_stage AS stage, (SELECT l.to_stage FROM greenroom_ledger l"
    " WHERE l.model = v.name AND l.version = v.version ORDER BY l.number DESC LIMIT 1) AS said,"
    " (SELECT count(*) FROM registered_model_aliases a WHERE a.name = v.name AND a.version = v.version"
    " AND lower(a.alias) = 'production') AS named FROM model_versions v"
    " WHERE v.name = :model AND v.current_stage <> 'Deleted_Internal'"
)


@dataclass(frozen=True)
class Call:
    """What one person sends: an act of ours, or a stage or a deletion through MLflow's own interface."""

    login: str
    act: str
    version: int | None
    to: str = ""
    attempt: str = field(default_factory=lambda: str(uuid.uuid4()))

    def send(self, house: House, model: str) -> requests.Response:
        name = {"name": model, "version": str(self.version)}
        if self.act == "delete":
            return house.mlflow(self.login, "DELETE", "model-versions/delete", **name)
        if self.to:
            also = {"stage": self.to, "archive_existing_versions": False}
            return house.mlflow(self.login, "POST", "model-versions/transition-stage", **name, **also)
        return house.ask(self.login, self.act, model, self.version, attempt=self.attempt)


def test_many_decide_at_once(house: House, model: str) -> None:
    chance = random.Random(SEED)
    for _ in range(2):
        house.live(model)
    done = refused = 0
    for _ in range(ROUNDS):
        stages = set_the_scene(house, model, chance)
        calls = choose(stages, chance)
        before = house.lines()
        together = threading.Barrier(len(calls))

        def send(call: Call, together: threading.Barrier = together) -> requests.Response:
            together.wait(30)
            return call.send(house, model)

        with watched(house, model), ThreadPoolExecutor(len(calls)) as pool:
            answers = [*pool.map(send, calls)]
        after = house.lines()
        new = after[len(before) :]
        assert after[: len(before)] == before
        check_lines(stages, new, house.stages(model))
        told = [
            line
            for call, answer in zip(calls, answers, strict=True)
            for line in check(call, answer, stages, new)
        ]
        # Every line is the doing of somebody who was told of it.
        assert sorted(told) == [line.number for line in new]
        done += sum(answer.ok for answer in answers)
        refused += sum(not answer.ok for answer in answers)
    assert done >= ROUNDS
    assert refused >= ROUNDS


def set_the_scene(house: House, model: str, chance: random.Random) -> dict[int, str]:
    """See to it that there are enough versions and that two of them wait for a review."""
    while len(house.stages(model)) < VERSIONS:
        validate_tiny(house.at("olaf"), house.register(model))
    waiting = [n for n, stage in house.stages(model).items() if stage == "Staging"]
    others = [n for n, stage in house.stages(model).items() if stage in ("None", "Archived")]
    for number in chance.sample(others, max(0, 2 - len(waiting))):
        house.set_stage("ann", model, number, "Staging")
    return house.stages(model)


def choose(stages: dict[int, str], chance: random.Random) -> list[Call]:
    """Two approvals and a rollback, and three of whatever else gets in their way."""
    at = {
        stage: [n for n, s in stages.items() if s == stage] for stage in ("Staging", "Production", "Archived")
    }
    first, second = chance.sample(at["Staging"], 2)
    live = chance.choice(at["Production"] or [first])
    old = chance.choice(at["Archived"] or [second])
    others = [
        Call("rita", "approve", second),
        Call("rob", "", first, "Production"),
        Call("rob", "archive", live),
        Call("rita", "", live, "Archived"),
        Call("ann", "withdraw", first),
        Call("ann", "delete", live),
        Call("ann", "delete", old),
        Call("rita", "rollback", old),
        Call("ann", "", second, "Archived"),
    ]
    calls = [Call("rita", "approve", first), Call("rob", "approve", second), Call("rob", "rollback", None)]
    return [*calls, *chance.sample(others, 3)]


def check_lines(stages: dict[int, str], new: list[Line], now: dict[int, str]) -> None:
    """Carry the lines out one after the other: each goes on where the one before stopped."""
    stages = dict(stages)
    for line in new:
        assert stages[line.version] == line.from_stage
        stages[line.version] = str(line.to_stage)
        if line.action == "deleted":
            del stages[line.version]
        assert [*stages.values()].count("Production") <= 1
    assert stages == now


def check(call: Call, answer: requests.Response, stages: dict[int, str], new: list[Line]) -> list[int]:
    """Compare what a caller was told with what happened; return the numbers of the lines that are theirs."""
    # Attempts of MLflow's own calls are the server's; one login sets one stage once in a round.
    mine = [line for line in new if line.attempt == call.attempt]
    if call.to or call.act == "delete":
        mine = [line for line in new if is_of_plain(call, line)]
        mine = [line for line in new if line.attempt in {found.attempt for found in mine}]
    if answer.ok:
        if call.to:
            # Somebody may have set the stage a moment before.
            assert mine or any(line.version == call.version and line.to_stage == call.to for line in new)
        elif call.act == "delete":
            assert len(mine) == 1
        else:
            assert [Line.from_plain(line) for line in answer.json()["lines"]] == mine
            assert WRITES[call.act] in [str(line.action) for line in mine]
        return [line.number for line in mine]
    assert mine == []
    body = answer.json()
    if answer.status_code == 404:
        assert body["error_code"] == "RESOURCE_DOES_NOT_EXIST"
        # Which version a rollback without a number goes to is found out a moment before.
        gone = any(line.action == "deleted" and call.version in (None, line.version) for line in new)
        assert gone or "has no earlier Production version to go back to" in body["message"]
        return []
    assert (answer.status_code, " is refused: " in body["message"]) == (400, True), answer.text[:500]
    # What a refusal says of a stage was so at a moment of this round.
    for number, stage in IS_IN.findall(body["message"]):
        was = [stages[int(number)], *(line.to_stage for line in new if line.version == int(number))]
        assert stage in was, body["message"]
    return []


def is_of_plain(call: Call, line: Line) -> bool:
    if not line.reason.startswith("set with MLflow's own client") or line.by != call.login:
        return False
    if (line.action == "deleted") != (call.act == "delete"):
        return False  # a deletion leaves the stage that it found, which may be the one that was set before it
    return line.version == call.version and (call.act == "delete" or line.to_stage == call.to)


@contextmanager
def watched(house: House, model: str) -> Iterator[None]:
    """Look at the model all the while, in the database and as a client of MLflow."""
    over = threading.Event()
    client = house.client("olaf")

    def look_inside() -> None:
        with house.database.connect() as connection:
            rows = connection.execute(PICTURE, {"model": model}).all()
        live = [row.version for row in rows if row.stage == "Production"]
        assert len(live) <= 1, f"two in Production: {rows}"
        assert [row.version for row in rows if row.named] == live, f"the alias disagrees: {rows}"
        assert all(row.said == row.stage for row in rows), f"a stage without its line: {rows}"

    def ask_mlflow() -> None:
        found = client.search_model_versions(f"name = '{model}'")
        live = [v.version for v in found if v.current_stage == "Production"]
        assert len(live) <= 1, f"MLflow answers with two in Production: {live}"

    def keep_on(look: Callable[[], None]) -> int:
        seen = 0
        while not over.wait(POLL_S):
            look()
            seen += 1
        return seen

    with ThreadPoolExecutor(2) as pool:
        watchers = [pool.submit(keep_on, look) for look in (look_inside, ask_mlflow)]
        try:
            yield
        finally:
            over.set()
        assert all(watcher.result(60) for watcher in watchers), "nobody looked"
