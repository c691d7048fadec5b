"""Routes are followed: who is let answer, how far, who is stopped, and what holds with S3 away."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from faulty_s3 import Fault, FaultyS3, faulty_s3
from review_house import House, logging_to
from test_following import at_once
from tiny_versions import register_tiny, validate_tiny

import registry
from registry import Act, Registry
from serving.errors import RoutesError
from serving.following.events import Event
from serving.following.follower import Surroundings
from serving.following.router import Router, RoutesPlace
from serving.following.trial import try_artifact
from serving.routing.guards import Watched
from serving.routing.published import ArmView, Places, Published, read_published
from serving.routing.shared_state import SharedState
from serving.routing.watch import Watch, write_watch
from storage import S3Settings, SharedObject, Store

pytest_plugins = ["review_fixtures"]

LIVE, FRESH, STAGED, OTHER = 1, 2, 3, 4


@dataclass
class Replica:
    """One endpoint's router, its clock, and what it told."""

    model: str
    at: Registry
    folder: Path
    store: Store
    bucket: str
    told: list[Event] = field(default_factory=list)
    now_s: float = 1_700_000_000.0

    def __post_init__(self) -> None:
        self.declared, self.places = self.folder / "serving", Places(self.folder / "routes")
        self.declared.mkdir(parents=True, exist_ok=True)
        self.start()

    def start(self) -> None:
        """Begin, or begin again."""
        surroundings = Surroundings(
            self.at,
            lambda folder, what, kind: try_artifact(folder, what, kind, os.environ),
            at_once,
            self.told.append,
            monotonic=lambda: self.now_s,
        )
        place = RoutesPlace(self.declared, self.places, self.open, now=lambda: self.now_s)
        self.router = Router(self.model, surroundings, place)

    def open(self, location: str) -> SharedObject:
        return SharedObject(self.store, f"{self.bucket}/{location}")

    def declare(self, text: str) -> None:
        path = self.declared / f"{self.model.replace('-', '_')}.yaml"
        path.write_text(
            f"model: {self.model}\nrecord: {{exposures: x/exposures, feedback: x/feedback}}\n{text}"
        )

    def step(self) -> Published:
        found = self.router.step()
        written = read_published(self.places.published)
        assert written in {None, found}
        return found

    def arm(self, name: str) -> ArmView:
        return next(view for view in self.step().arms if view.arm == name)

    def see(self, arm: ArmView, **about: Any) -> None:
        """Have the recorder write what an arm has answered."""
        assert arm.digest is not None
        assert arm.since is not None
        seen = Watched(arm.digest, arm.since, **about)
        write_watch(self.places.watch, Watch(time.time(), {arm.arm: seen}))

    def names(self) -> list[str]:
        names = [event.name for event in self.told]
        self.told.clear()
        return names


def shares(published: Published) -> dict[str, float]:
    return {arm: count / 100 for arm, count in Counter(published.table).items()}


AB = """\
champion: {weight: 90}
challengers:
  - {arm: deeper, version: staging, mode: shadow}
  - {arm: later, version: 3, mode: ab, weight: 10}
"""
CANARY = """\
challengers:
  - arm: careful
    version: 3
    mode: canary
    ramp: [{percent: 1, for_s: 60}, {percent: 50, for_s: 60}]
    guards: {at_least: 100}
"""


@pytest.fixture(scope="module")
def contest(sqlite_house: House) -> str:
    """A model with a version in Production, one that nobody looked at, and two in Staging."""
    model = f"contest-{os.getpid()}"
    with logging_to(sqlite_house.at("ann")) as at:
        for seed in range(4):
            validate_tiny(sqlite_house.at("olaf"), register_tiny(at, model, seed))
    for version in (LIVE, STAGED, OTHER):
        sqlite_house.decide("ann", Act.REQUEST, model, version)
    sqlite_house.decide("rita", Act.APPROVE, model, LIVE)
    return model


@pytest.fixture
def house(sqlite_house: House, contest: str) -> Iterator[House]:
    """The server; what a test let answer clients is ended after it."""
    yield sqlite_house
    for exposed in registry.exposed(sqlite_house.at("ann"), contest):
        registry.end_exposure(sqlite_house.at("ann"), contest, exposed.version, "the test is over")


@pytest.fixture
def replica(
    house: House, contest: str, tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> Replica:
    # As the process that follows does: a server that is away is told soon.
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    return Replica(contest, house.at("olaf"), tmp_path / "one", store, f"s3://greenroom/{tmp_path.name}")


def expose(house: House, model: str, version: int = STAGED) -> None:
    house.decide("ann", Act.REQUEST_EXPOSURE, model, version)
    house.decide("rob", Act.APPROVE_EXPOSURE, model, version)


def test_without_a_file_nothing_is_published(replica: Replica) -> None:
    assert replica.step() == Published(replica.model)
    assert not replica.places.folder.exists()
    assert replica.names() == []


def test_where_there_is_only_recording_the_registry_is_not_asked(replica: Replica) -> None:
    replica.at = registry.connect({"MLFLOW_TRACKING_URI": "http://127.0.0.1:1"})
    replica.start()
    replica.declare("")
    published = replica.step()
    assert (published.problem, published.arms) == (None, ())
    assert published.record is not None
    replica.declare(AB)
    # Who else answers, it has to say.
    assert "does not answer" in str(replica.step().problem)


def test_who_is_let_gets_what_was_declared_and_who_is_not_gets_nothing(
    house: House, replica: Replica
) -> None:
    replica.declare(AB)
    published = replica.step()
    later, deeper = replica.arm("later"), replica.arm("deeper")
    assert shares(published) == {"champion": 90, "later": 10}
    assert later.idle == (
        "version 3 has no approval for exposure, which answering clients takes: python -m registry request"
        f" {replica.model} 3 --exposure"
    )
    assert (deeper.idle, deeper.version) == (None, OTHER)  # a shadow needs Staging alone
    assert published.problem is None
    assert replica.names() == ["routes_read", "arm_published", "arm_idle"]
    expose(house, replica.model)
    later = replica.arm("later")
    assert (later.idle, later.version, later.percent) == (None, 3, 10)
    assert Path(str(later.folder)).is_dir()
    registry.end_exposure(replica.at, replica.model, STAGED, "enough was seen")
    assert "no approval" in str(replica.arm("later").idle)
    assert replica.names() == ["arm_published", "arm_idle"]


@pytest.mark.parametrize(
    ("arm", "said"),
    [
        ("{arm: a, version: 12, mode: shadow}", "challengers (a): version 12 is unknown; {model} has 4, the"),
        ("{arm: a, version: 1, mode: shadow}", "version 1 is in Production, so it is the champion"),
        (
            "{arm: a, version: 2, mode: shadow}",
            "version 2 is in None, and a shadow has to be in Staging: python",
        ),
        (
            "{arm: b, version: 4, mode: shadow}, {arm: a, version: staging, mode: shadow}",
            "that of arm 'b' already",
        ),
    ],
)
def test_why_an_arm_is_idle_is_one_sentence(replica: Replica, arm: str, said: str) -> None:
    replica.declare(f"challengers: [{arm}]")
    assert said.format(model=replica.model) in str(replica.arm("a").idle)


def test_a_file_that_is_wrong_leaves_the_routes_before_also_over_a_restart(
    house: House, replica: Replica
) -> None:
    expose(house, replica.model)
    replica.declare(AB)
    before = replica.step()
    replica.declare(AB.replace("90", "80"))
    after = replica.step()
    assert (after.arms, after.table) == (before.arms, before.table)
    assert "weight: champion 80 + later 10 adds up to 90, expected 100. The routes before stay" in str(
        after.problem
    )
    assert replica.names()[-2:] == ["routes_refused", "routes_problem"]
    replica.start()
    assert replica.step().arms == before.arms
    replica.declare(AB.replace("90", "80").replace("10}", "20}"))
    moved = replica.step()
    assert moved.problem is None
    changed = Counter(pair for pair in zip(before.table, moved.table, strict=True) if pair[0] != pair[1])
    assert changed == {("champion", "later"): 1000}
    (replica.declared / f"{replica.model.replace('-', '_')}.yaml").unlink()
    assert replica.step() == Published(replica.model)


def test_a_canary_goes_up_its_ramp_and_a_breach_stops_it_for_all_and_in_the_ledger(
    house: House, replica: Replica, tmp_path: Path, store: Store
) -> None:
    expose(house, replica.model)
    other = Replica(replica.model, house.at("rita"), tmp_path / "two", store, replica.bucket)
    for each in (replica, other):
        each.declare(CANARY)
    careful = replica.arm("careful")
    assert (careful.step, careful.since, careful.percent) == (0, replica.now_s, 1)
    assert other.arm("careful").since == careful.since
    replica.see(careful, exposures=150)
    replica.now_s += 61
    careful = replica.arm("careful")
    assert (careful.step, careful.percent) == (1, 50)
    assert shares(other.step()) == {"champion": 50, "careful": 50}

    replica.see(careful, exposures=150, errors=30, breach="30 of 150 answers are errors")
    stopped = replica.arm("careful")
    assert str(stopped.idle).startswith("stopped: 30 of 150 answers are errors")
    assert "arm_stopped" in replica.names()
    assert set(shares(other.step())) == {"champion"}
    assert other.arm("careful").idle is not None
    line = house.newest_lines(replica.model)[STAGED]
    assert (line.by, line.reason) == (
        "olaf",
        "a guard of arm careful stopped it: 30 of 150 answers are errors",
    )
    assert registry.exposed(replica.at, replica.model) == ()

    expose(house, replica.model)
    again = replica.arm("careful")
    assert (again.idle, again.step, again.percent) == (None, 0, 1)


def test_with_s3_and_the_registry_away_a_stop_holds_and_is_told_later(
    house: House, replica: Replica, s3: S3Settings
) -> None:
    expose(house, replica.model)
    replica.declare(CANARY)
    careful = replica.arm("careful")
    with faulty_s3(s3) as faulty:
        away(replica, faulty)
        assert replica.arm("careful") == careful
        replica.see(careful, exposures=5, errors=5, breach="5 of 5 answers are errors")
        for _ in range(2):
            published = replica.step()
            assert str(published.arms[0].idle).startswith("stopped: 5 of 5")
            assert set(shares(published)) == {"champion"}
            assert "does not answer" in str(published.problem)
            replica.start()  # a restart forgets nothing
        assert registry.exposed(house.at("olaf"), replica.model)
    replica.store, replica.at = Store.connect(s3), house.at("olaf")
    replica.start()
    assert replica.step().problem is None
    found = replica.open(f"x/routes-state-{replica.model}.json").get()
    assert found is not None
    state = SharedState.from_json(found.body, "it", replica.model)
    assert [stop.reason for stop in state.stopped.values()] == ["5 of 5 answers are errors"]
    assert registry.exposed(house.at("olaf"), replica.model) == ()


def away(replica: Replica, faulty: FaultyS3) -> None:
    faulty.fail(Fault.LOST_ANSWER, at=1, onward=True)
    replica.store = Store.connect(faulty.settings)
    cache = str(replica.at.cache)
    replica.at = registry.connect({"MLFLOW_TRACKING_URI": "http://127.0.0.1:1", "GREENROOM_CACHE_DIR": cache})
    replica.start()


def test_replicas_that_declare_otherwise_do_not_fight(
    house: House, replica: Replica, tmp_path: Path, store: Store
) -> None:
    expose(house, replica.model)
    other = Replica(replica.model, house.at("rita"), tmp_path / "two", store, replica.bucket)
    replica.declare(AB)
    replica.step()
    other.declare(AB.replace("90", "70").replace("10}", "30}"))
    assert shares(other.step()) == {"champion": 70, "later": 30}
    for _ in range(2):
        published = replica.step()
        assert shares(published) == {"champion": 70, "later": 30}
        assert "has the shares that another endpoint declares" in str(published.problem)
        assert shares(other.step()) == {"champion": 70, "later": 30}


def test_what_is_no_shared_object_is_said_and_nobody_answers_by_it(
    house: House, replica: Replica, store: Store
) -> None:
    expose(house, replica.model)
    uri = replica.open(f"x/routes-state-{replica.model}.json").uri
    store.write(uri, b'{"format": 1, "model": "another"}')
    replica.declare(AB)
    published = replica.step()
    assert f"{uri} is of format 1 and model 'another', expected 1 and '{replica.model}'" in str(
        published.problem
    )
    assert set(shares(published)) == {"champion"}
    with pytest.raises(RoutesError):
        SharedState.from_json({}, uri, replica.model)
