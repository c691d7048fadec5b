"""An endpoint with routes: who answers whom, who sees copies, what is counted, recorded and said."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil
import pytest
from local_versions import loaded, publish, write_tiny
from routed import arm_of, places_of, publish_routes
from served_house import House, open_house, wait_for, write_foreign

from serving.contract.limits import Limits
from serving.routing.buckets import ALL_CHAMPION, BUCKETS, Hasher, quotas, rebalance
from serving.routing.declaration import EntityKey, Recording
from serving.routing.guards import Watched
from serving.routing.published import Published
from serving.routing.watch import Watch, write_watch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from requests import Response

BODY = {"dataframe_records": [{"carrier": "AA", "distance": 1400.0}]}
RAW = json.dumps(BODY).encode()
TABLE = rebalance(ALL_CHAMPION, quotas({"later": 30, "careful": 20}))
HEADER = EntityKey(header="x-entity-key")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    base = tmp_path_factory.mktemp("arms")
    return [write_tiny(base / str(seed), seed) for seed in range(4)]


@pytest.fixture(scope="module")
def predictions(folders: list[Path]) -> list[bytes]:
    """What each version answers to `BODY`."""
    found = []
    for folder in folders:
        model = loaded(folder)
        found.append(model.answer(model.read("application/json", RAW, Limits(10, 10_000))).body)
    assert len(set(found)) == len(found)
    return found


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory, folders: list[Path]) -> Path:
    cache = tmp_path_factory.mktemp("routed")
    publish(cache, "tiny", 1, folders[0])
    return cache


@pytest.fixture(scope="module")
def house(cache: Path) -> Iterator[House]:
    options = ("--offline", "--workers", "2", "--routes", str(cache / "routes"))
    with open_house(cache, ["tiny"], *options) as running:
        yield running


@pytest.fixture
def arms(cache: Path, folders: list[Path]) -> Published:
    later = arm_of("later", "ab", 2, folders[1], percent=30.0)
    careful = arm_of("careful", "canary", 3, folders[2], percent=20.0, step=0, since=5.0)
    deeper = arm_of("deeper", "shadow", 4, folders[3])
    published = Published("tiny", (later, careful, deeper), TABLE, HEADER)
    places_of(cache, "tiny").watch.unlink(missing_ok=True)
    publish_routes(cache, published)
    return published


def said(house: House) -> list[dict[str, object]]:
    """What each of both workers says of its arms, as far as it has any."""
    found = [house.get("/ready").json()["models"][0].get("routes", {}).get("arms", []) for _ in range(12)]
    return [each for each in found if each]


def settle(house: House, arms: int) -> None:
    """Wait until every worker has so many arms that get something."""

    def has() -> bool:
        now = [house.get("/ready").json()["models"][0].get("routes", {"arms": []}) for _ in range(12)]
        return all(sum(arm["idle"] is None for arm in each["arms"]) == arms for each in now)

    wait_for(has)
    time.sleep(0.6)  # each looks four times a second


def ask(house: House, entity: str | None) -> Response:
    return house.post(BODY, headers={} if entity is None else {"X-Entity-Key": entity})


def test_without_routes_nothing_is_said_of_arms(house: House, cache: Path) -> None:
    assert not places_of(cache, "tiny").published.exists(), "it has to come before those that publish routes"
    answer = [ask(house, entity) for entity in ("u1", None) for _ in range(20)][
        -1
    ]  # each worker knows the heads
    assert answer.status_code == 200
    assert "x-model-arm" not in answer.headers
    assert "x-prediction-id" not in answer.headers
    assert "greenroom_serving_arm" not in house.get("/metrics").text
    assert "routes" not in house.get("/ready").json()["models"][0]


def test_who_answers_is_decided_by_the_entity_in_every_worker(
    house: House, arms: Published, predictions: list[bytes]
) -> None:
    settle(house, 3)
    bucket = Hasher("tiny").bucket
    versions = {"champion": 1, "later": 2, "careful": 3}
    counts: Counter[str] = Counter()
    ids = set()
    for number in range(120):
        entity = f"passenger-{number // 2}"
        answer = ask(house, entity)
        arm = TABLE[bucket(entity.encode())]
        assert answer.headers["x-model-arm"] == arm
        assert answer.headers["x-model-version"] == str(versions[arm])
        assert answer.content == predictions[versions[arm] - 1]
        ids.add(answer.headers["x-prediction-id"])
        counts[arm] += 1
    assert len(ids) == 120
    for arm, count in counts.items():
        assert house.metric("arm_requests_total", model="tiny", arm=arm) >= count
    assert house.metric("arm_seconds_count", model="tiny", arm="later") >= counts["later"]
    assert house.metric("arm_version", model="tiny", arm="careful", mode="canary") == 3
    assert house.metric("arm_percent", model="tiny", arm="later") == 30
    assert arms.arms[0].arm == "later"


def test_requests_without_an_entity_are_routed_by_chance_and_counted(house: House, arms: Published) -> None:
    settle(house, len(arms.arms))
    before = house.metric("no_entity_requests_total", model="tiny")
    found = Counter(
        ask(house, None if number % 2 else f"p{number}").headers["x-model-arm"] for number in range(60)
    )
    assert len(found) > 1
    assert house.metric("no_entity_requests_total", model="tiny") - before == 30
    assert ask(house, "x" * 257).status_code == 200
    assert house.metric("no_entity_requests_total", model="tiny") - before == 31


def test_a_column_may_say_what_a_request_is_about(house: House, cache: Path, folders: list[Path]) -> None:
    later = arm_of("later", "ab", 2, folders[1], percent=50.0)
    table = rebalance(ALL_CHAMPION, quotas({"later": 50}))
    publish_routes(cache, Published("tiny", (later,), table, EntityKey(column="distance")))
    settle(house, 1)
    bucket = Hasher("tiny").bucket
    for distance in range(12):
        arm = table[bucket(str(distance).encode())]
        records = {"dataframe_records": [{"carrier": "AA", "distance": float(distance)}] * 2}
        assert house.post(records).headers["x-model-arm"] == arm
        csv = f"carrier,distance\nAA,{distance}\n".encode()
        assert house.post(csv, headers={"content-type": "text/csv"}).headers["x-model-arm"] == arm
    before = house.metric("no_entity_requests_total", model="tiny")
    for rows in ([1.0, 2.0], [None, None]):
        mixed = {"dataframe_split": {"columns": ["carrier", "distance"], "data": [["AA", d] for d in rows]}}
        assert house.post(mixed).status_code == 200
    assert house.metric("no_entity_requests_total", model="tiny") - before == 2
    assert house.post(b"{").status_code == 400


def test_a_breach_takes_an_arm_out_within_seconds_without_anybody_else(
    house: House, arms: Published, cache: Path
) -> None:
    settle(house, 3)
    careful = arms.arms[1]
    entity = next(f"p{n}" for n in range(1000) if TABLE[Hasher("tiny").bucket(b"p%d" % n)] == "careful")
    assert ask(house, entity).headers["x-model-arm"] == "careful"
    assert careful.digest is not None
    stale = Watched(careful.digest, 4.0, 500, 400, breach="of another step")
    write_watch(places_of(cache, "tiny").watch, Watch(time.time(), {"careful": stale}))
    time.sleep(1)
    assert ask(house, entity).headers["x-model-arm"] == "careful"
    seen = Watched(careful.digest, 5.0, 500, 400, breach="400 of 500 answers are errors")
    write_watch(places_of(cache, "tiny").watch, Watch(time.time(), {"careful": seen}))
    began = time.monotonic()
    settle(house, 2)
    assert time.monotonic() - began < 5
    assert {ask(house, entity).headers["x-model-arm"] for _ in range(6)} == {"champion"}
    assert all("400 of 500 answers are errors" in str(each) for each in said(house))
    assert house.metric("arm_idle", model="tiny", arm="careful") == 1


def test_an_arm_that_cannot_be_loaded_is_the_champions_and_says_why(
    house: House, cache: Path, folders: list[Path]
) -> None:
    # A version that no worker has: what is loaded already needs no folder.
    sound = arm_of("later", "ab", 4, folders[3], percent=100.0)
    broken = replace(sound, folder=str(cache / "nowhere"))
    publish_routes(cache, Published("tiny", (broken,), ("later",) * BUCKETS, HEADER))
    settle(house, 0)
    assert ask(house, "anybody").headers["x-model-arm"] == "champion"
    assert all("is not the artifact that was registered" in str(each) for each in said(house)), said(house)[0]


def test_what_is_no_routes_file_changes_nothing(house: House, arms: Published, cache: Path) -> None:
    settle(house, len(arms.arms))
    places_of(cache, "tiny").published.write_text("{}")
    time.sleep(1)
    assert house.get("/ready").json()["ready"]
    assert len(said(house)[0]) == 3
    assert "routes_unreadable" in house.log


def test_shadows_see_what_was_answered_and_die_without_a_trace(
    house: House, cache: Path, folders: list[Path]
) -> None:
    shadow = arm_of("deeper", "shadow", 4, folders[3])
    publish_routes(cache, Published("tiny", (shadow,), entity=HEADER))
    settle(house, 1)
    wait_for(lambda: '"event":"shadow_loaded"' in house.log)
    before = house.metric("arm_requests_total", model="tiny", arm="deeper")
    for number in range(20):
        assert ask(house, f"p{number}").headers["x-model-arm"] == "champion"
    wait_for(lambda: house.metric("arm_requests_total", model="tiny", arm="deeper") - before >= 20)
    assert house.metric("arm_errors_total", model="tiny", arm="deeper") == 0
    [process] = shadows_of(house)
    assert (process.nice(), os.sched_getscheduler(process.pid)) == (19, os.SCHED_IDLE)
    process.send_signal(signal.SIGKILL)
    assert all(ask(house, f"p{number}").status_code == 200 for number in range(20))
    wait_for(lambda: '"event":"shadow_ended"' in house.log)
    time.sleep(3)  # longer than what answers clients would be left alone
    assert not shadows_of(house)
    # Whoever mended it need not wait: taken out of the routes, which are looked at each second, and put back.
    publish_routes(cache, Published("tiny", (), entity=HEADER))
    time.sleep(3)
    publish_routes(cache, Published("tiny", (shadow,), entity=HEADER))
    wait_for(lambda: shadows_of(house) != [])
    for number in range(20):
        ask(house, f"p{number}")
    wait_for(lambda: house.metric("arm_requests_total", model="tiny", arm="deeper") - before >= 40)
    publish_routes(cache, Published("tiny", (), entity=HEADER))
    wait_for(lambda: not shadows_of(house))


def shadows_of(house: House) -> list[psutil.Process]:
    return house.endpoint.beside("serving.shadowing")


def test_a_shadow_that_cannot_read_requests_fails_alone_and_what_it_missed_is_counted(
    house: House, cache: Path, tmp_path: Path
) -> None:
    sleeper = arm_of("sleeper", "shadow", 9, write_foreign(tmp_path / "told"), format="pyfunc")
    publish_routes(cache, Published("tiny", (sleeper,), entity=HEADER))
    settle(house, 1)
    wait_for(lambda: house.log.count('"event":"shadow_loaded"') >= 1 and len(shadows_of(house)) == 1)
    large = {"dataframe_records": [{"carrier": "A" * 300, "distance": 1.0}] * 600}
    assert house.post(large).status_code == 200
    wait_for(lambda: house.metric("shadow_drops_total", model="tiny", arm="sleeper") >= 1)
    assert ask(house, "p").status_code == 200
    wait_for(lambda: house.metric("arm_errors_total", model="tiny", arm="sleeper") >= 1)
    assert house.metric("arm_errors_total", model="tiny", arm="champion") == 0


def records(house: House, cache: Path, processes: int) -> bool:
    """Ask, and say whether so many processes have begun to write: workers, and those of shadows."""
    ask(house, "anybody")
    return len(list(places_of(cache, "tiny").spool.glob("*.open"))) >= processes


def test_answers_are_recorded_with_who_gave_them(house: House, cache: Path, arms: Published) -> None:
    publish_routes(cache, Published("tiny", arms.arms, TABLE, HEADER, Recording("e", "f", spool_mib=8)))
    settle(house, 3)
    wait_for(lambda: len(shadows_of(house)) == 1)
    # The arms are those of before: that they are recorded now shows only where something is.
    wait_for(lambda: records(house, cache, 3))
    answers = [ask(house, f"passenger-{number}") for number in range(10)]
    spool = places_of(cache, "tiny").spool

    def are_written() -> bool:
        # When they have gone out.
        written = b"".join(path.read_bytes() for path in spool.iterdir())
        return all(answer.headers["x-prediction-id"].encode() in written for answer in answers)

    wait_for(are_written)
    assert house.metric("exposures_dropped_total", model="tiny") == 0
