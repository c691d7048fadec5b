"""What is said of arms each second: counts, latencies, distributions, and who is to be stopped."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import REPOSITORY
from served_house import wait_for
from test_recording_spool import ONE

from serving.following.view import view_path
from serving.recording.exposure import Exposure
from serving.recording.spool import Spool
from serving.recording.watching.watcher import Watcher
from serving.recording.watching.windows import population_stability
from serving.routing.declaration import Guards, Recording
from serving.routing.published import ArmView, Places, Published, write_published
from serving.routing.watch import read_watch

CAREFUL = ArmView(
    arm="careful",
    mode="canary",
    version=8,
    digest="sha256:cd",
    manifest="{}",
    folder="/nowhere",
    percent=10,
    step=0,
    since=1000.0,
    guards=Guards(error_share_at_most=0.05, latency_ratio_at_most=2.0, psi_at_most=0.25, at_least=50),
)
CANARY = replace(ONE, arm="careful", mode="canary", version=8, digest="sha256:cd")


def publish(places: Places, *arms: ArmView) -> None:
    record = Recording("tiny/exposures", "tiny/feedback")
    write_published(places.published, Published(model="tiny", arms=arms, record=record))


@pytest.fixture
def places(tmp_path: Path) -> Places:
    found = Places.of(view_path(tmp_path, "", "tiny"), tmp_path / "routes")
    publish(found, CAREFUL)
    return found


def answers(
    like: Exposure, count: int, seed: int = 0, shift: float = 0.0, **changed: object
) -> list[Exposure]:
    rng = np.random.default_rng(seed)
    scores = (rng.normal(size=count) + shift).astype("<f4")
    return [replace(like, predictions=score.tobytes(), **changed) for score in scores]  # type: ignore[arg-type]


def spool_all(places: Places, *each: list[Exposure]) -> None:
    spool = Spool(places.spool, 2**26, lambda: None)
    for some in each:
        assert all(map(spool.add, some))
    spool.close()


def test_an_arm_that_does_as_the_champion_does_is_let_be(places: Places) -> None:
    watcher = Watcher(places)
    spool_all(places, answers(ONE, 400), answers(CANARY, 100, seed=1, latency_s=0.0015))
    watch = watcher.look()
    assert watch == read_watch(places.watch)
    assert watch is not None
    found = watch.of("careful", "sha256:cd", 1000.0)
    assert found is not None
    assert (found.exposures, found.errors, found.breach) == (100, 0, None)
    assert found.p50_ms == pytest.approx(1.5)
    assert found.p99_ms == pytest.approx(1.5)
    assert found.psi is not None
    assert 0 <= found.psi < 0.25


@pytest.mark.parametrize(
    ("arm", "said"),
    [
        (answers(CANARY, 60, status=500), "60 of 60 answers are errors"),
        (answers(CANARY, 60, latency_s=0.003), "the median of its latency is 3 ms beside 1 ms"),
        (answers(CANARY, 60, shift=2.0), "its predictions are distributed otherwise"),
    ],
)
def test_an_arm_that_does_worse_is_to_be_stopped_and_stays_so(
    arm: list[Exposure], said: str, places: Places
) -> None:
    watcher = Watcher(places)
    spool_all(places, answers(ONE, 400), arm)
    for _ in range(2):
        watch = watcher.look()
        assert watch is not None
        assert said in (watch.arms["careful"].breach or "")
        # What would make it look better again comes too late.
        spool_all(places, answers(CANARY, 2000, seed=2))


def test_another_step_begins_anew_and_what_was_before_it_does_not_count(places: Places) -> None:
    spool_all(places, answers(CANARY, 60, status=500))  # before anybody watched
    watcher = Watcher(places)
    spool_all(places, answers(CANARY, 30))
    watch = watcher.look()
    assert watch is not None
    assert watch.arms["careful"].exposures == 30
    publish(places, replace(CAREFUL, step=1, percent=50, since=2000.0))
    spool_all(places, answers(CANARY, 7))
    watch = watcher.look()
    assert watch is not None
    assert watch.arms["careful"].exposures == 7
    assert watch.of("careful", "sha256:cd", 1000.0) is None


def test_answers_of_another_version_in_the_same_arm_are_not_its_own(places: Places) -> None:
    watcher = Watcher(places)
    spool_all(places, answers(replace(CANARY, digest="sha256:ee"), 60, status=500), answers(CANARY, 3))
    watch = watcher.look()
    assert watch is not None
    assert (watch.arms["careful"].exposures, watch.arms["careful"].errors) == (3, 0)


def test_distributions_are_compared_whatever_they_are() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=5000).tolist(), rng.normal(size=5000).tolist()
    found = population_stability(one, other)
    assert found is not None
    assert 0 <= found < 0.02
    shifted = population_stability(one, [score + 1 for score in other])
    assert shifted is not None
    assert shifted > 0.5
    assert population_stability([0.5] * 100, [0.5] * 100) == pytest.approx(0)
    assert population_stability([0.5] * 100, [float("nan")] * 100) is None
    assert population_stability([], one) is None


@contextmanager
def watching(cache: Path, routes: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "serving.recording.watching", "tiny", "--routes", str(routes)]
    environment = {**os.environ, "GREENROOM_CACHE_DIR": str(cache), "MLFLOW_TRACKING_URI": ""}
    with subprocess.Popen(command, cwd=REPOSITORY, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()
            assert process.wait(20) == 0


def test_the_process_says_it_within_seconds_and_needs_no_network(tmp_path: Path, places: Places) -> None:
    with watching(tmp_path, tmp_path / "routes"):
        wait_for(places.watch.exists)
        spool_all(places, answers(ONE, 100), answers(CANARY, 60, status=500))

        def is_stopped() -> bool:
            watch = read_watch(places.watch)
            return watch is not None and watch.arms["careful"].breach is not None

        wait_for(is_stopped)
