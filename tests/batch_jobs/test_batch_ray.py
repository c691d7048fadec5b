"""A cluster of two machines scores as one machine does, also if it loses one of them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import ray
from house import House, Scored, csv
from lingering import Lingering
from ray import cluster_utils
from tiny_model import between, rules_of, scorer

from batch_jobs.engines import Engine, start
from batch_jobs.engines.remote import score_alike
from batch_jobs.errors import JobError, UnfitDataError
from batch_jobs.results import SplitResult
from batch_jobs.scoring import Rules
from batch_jobs.splits import Split
from storage import S3Settings, Store

GOOD = ("AA", "500", "50")
# A bad row in each file of twenty good ones.
FILES = {
    f"{n}.csv": csv([*[(f"{n}-{row}", *GOOD) for row in range(20)], (f"{n}-bad", "AA", "500", "hot")])
    for n in range(8)
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[cluster_utils.Cluster]:
    with pytest.MonkeyPatch.context() as patch:
        # Workers import what the tests bring along from here; a slow machine has time to start them.
        here = Path(__file__).parent
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, (here, here.parent))))
        patch.setenv("RAY_raylet_start_wait_time_s", "300")
        head = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 80 * 2**20}
        before = signal.getsignal(signal.SIGTERM)
        found = cluster_utils.Cluster(initialize_head=True, connect=False, head_node_args=head)
        patch.setenv("RAY_ADDRESS", found.address)
        yield found
        found.shutdown()
        signal.signal(signal.SIGTERM, before)


@pytest.fixture
def joined(cluster: cluster_utils.Cluster) -> Iterator[Engine]:
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    engine = start("ray", 1, {"RAY_ADDRESS": cluster.address})
    assert signal.signal(signal.SIGTERM, before) is signal.default_int_handler
    yield engine
    ray.shutdown()


@dataclass(frozen=True)
class LosingOne:
    """An engine on a cluster that loses a machine while that scores a split."""

    engine: Engine
    cluster: cluster_utils.Cluster
    folder: Path
    machine: Any

    def map(
        self, score: Callable[[Split], SplitResult], splits: Sequence[Split]
    ) -> Iterator[tuple[Split, SplitResult]]:
        lingering = Lingering(score, self.folder, seconds=3)
        is_there = True
        for found in self.engine.map(lingering, splits):
            if is_there:
                wait_until(lambda: lingering.under_way(self.machine.node_id) == 1)
                self.cluster.remove_node(self.machine, allow_graceful=False)
                is_there = False
            yield found
        assert lingering.begun() == len(splits) + 1


def wait_until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 120
    while not true():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.fixture
def house(s3: S3Settings, store: Store, tmp_path: Path) -> House:
    return House(store, s3, scorer(), tmp_path)


@pytest.fixture
def rules(tmp_path: Path) -> Rules:
    return rules_of(tmp_path, [between("temp", -50, 120)], [between("prediction", 0, 1)])


def test_a_machine_that_is_lost_loses_no_row(
    house: House, rules: Rules, cluster: cluster_utils.Cluster, joined: Engine, tmp_path: Path
) -> None:
    second = cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)
    (tmp_path / "begun").mkdir()
    losing = LosingOne(joined, cluster, tmp_path / "begun", second)
    found = house.score(FILES, rules, split_bytes=1, engine=losing)
    alone = house.score(FILES, rules, split_bytes=1)
    assert what_matters(found) == what_matters(alone)
    assert (found.result.scored, found.result.quarantined) == (160, 8)
    # A part that the lost machine may have written is of no result, and its keys are no doubles.
    for kept in (True, False):
        house.refuse_doubles(found, kept=kept)


def what_matters(found: Scored) -> list[tuple[object, ...]]:
    names = ("id", "prediction", "outcome", "input_file", "input_position", "reasons")
    return sorted(tuple(str(row[name]) for name in names) for row in found.rows)


def test_what_is_raised_on_a_machine_is_raised_here(house: House, rules: Rules, joined: Engine) -> None:
    with pytest.raises(UnfitDataError, match="has no column 'temp'") as raised:
        house.score({"1.csv": b"id,carrier,distance\na,AA,1\n"}, rules, engine=joined)
    assert type(raised.value) is UnfitDataError


def test_a_machine_with_another_xgboost_scores_nothing() -> None:
    def never(split: Split) -> SplitResult:
        raise AssertionError(split)

    others = {"numpy": np.__version__, "pyarrow": pa.__version__, "xgboost": "1.0.0"}
    with pytest.raises(JobError, match=r"has xgboost 3\.\d+\.\d+, expected 1\.0\.0 as the driver has"):
        score_alike(never, Split(()), others)


def test_a_cluster_that_is_not_there_is_named() -> None:
    with pytest.raises(JobError, match=r"Could not join the Ray cluster at 127\.0\.0\.1:9: "):
        start("ray", 1, {"RAY_ADDRESS": "127.0.0.1:9"})
