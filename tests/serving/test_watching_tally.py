"""Counts of several workers add up, survive the workers, and never go back."""

from __future__ import annotations

import math
import os
import signal
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from serving.watching import Reason, Tallies
from serving.watching.exposition import render
from serving.watching.layout import BOUNDS_S, STATUSES, STEPS, VERSION_CELLS, VERSIONS_KEPT
from serving.watching.versions import predictions, switch

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(tallies: Tallies) -> Samples:
    text = render(tallies, {}, now=0)[0].decode()
    return {
        (sample.name.removeprefix("greenroom_serving_"), frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(of: Samples, name: str, **labels: str) -> float:
    return of[name, frozenset(labels.items())]


def in_a_worker(work: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    return pid


def test_the_counts_of_forked_workers_add_up() -> None:
    tallies = Tallies.create(3, ("flights", "diamonds"))

    def work(slot: int) -> None:
        tally = tallies.worker(slot)
        tally.loaded(1, 7, loaded_at=100.0)
        for _ in range(1000):
            tally.answered(1, 200, slot + 1, 1e-05, 2e-05, 3e-04, 4e-04)
            tally.predicted(1, slot + 1)
            tally.rejected(Reason.OVERLOAD)

    pids = [in_a_worker(lambda slot=slot: work(slot)) for slot in range(3)]  # type: ignore[misc]
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0, 0, 0]

    counts = samples(tallies)
    assert value(counts, "requests_total", model="diamonds", status="200") == 3000
    assert value(counts, "rows_total", model="diamonds") == 1000 + 2000 + 3000
    assert value(counts, "predictions_total", model="diamonds", version="7") == 6000
    assert value(counts, "rejections_total", reason="overload") == 3000
    assert value(counts, "requests_total", model="flights", status="200") == 0
    assert value(counts, "workers") == 3
    assert value(counts, "step_seconds_sum", model="diamonds", step="predict") == pytest.approx(0.9)


def test_a_worker_that_is_killed_takes_no_count_with_it_and_is_replaced() -> None:
    tallies = Tallies.create(1, ("flights",))
    reader, writer = os.pipe()

    def work() -> None:
        tally = tallies.worker(0)
        tally.loaded(0, 3, loaded_at=100.0)
        for number in range(10**9):
            tally.enter()
            tally.answered(0, 200, 1, 0, 0, 0, 1e-3)
            tally.predicted(0, 1)
            if number == 5000:
                os.write(writer, b"5000 counted")

    pid = in_a_worker(work)
    assert os.read(reader, 100) == b"5000 counted"
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(reader)
    os.close(writer)

    died = samples(tallies)
    counted = value(died, "requests_total", model="flights", status="200")
    assert counted > 5000
    assert value(died, "in_flight_requests") > 0
    assert value(died, "model_version", model="flights", worker="0") == 3

    tallies.take_over(0)
    gone = samples(tallies)
    assert value(gone, "in_flight_requests") == 0
    assert value(gone, "workers") == 0
    assert ("model_version", frozenset({("model", "flights"), ("worker", "0")})) not in gone

    replacement = tallies.worker(0)
    replacement.loaded(0, 3, loaded_at=200.0)
    replacement.answered(0, 200, 1, 0, 0, 0, 1e-3)
    replacement.predicted(0, 10)
    after = samples(tallies)
    assert value(after, "requests_total", model="flights", status="200") == counted + 1
    predicted = value(died, "predictions_total", model="flights", version="3")
    assert value(after, "predictions_total", model="flights", version="3") == predicted + 10
    assert value(after, "workers") == 1


def test_what_cannot_be_is_refused_in_a_sentence() -> None:
    with pytest.raises(ValueError, match="0 workers for 1 models; expected at least one of each"):
        Tallies.create(0, ("flights",))
    with pytest.raises(ValueError, match="worker slot 2; expected 0 to 1"):
        Tallies.create(2, ("flights",)).worker(2)
    with pytest.raises(ValueError, match="worker slot -1; expected 0 to 1"):
        Tallies.create(2, ("flights",)).take_over(-1)


_seconds = st.one_of(st.just(0.0), st.sampled_from(BOUNDS_S), st.floats(1e-6, 100))
_answers = st.tuples(
    *(st.integers(0, 1), st.integers(0, 1), st.sampled_from((*STATUSES, 418, 599)), st.integers(0, 5)),
    st.tuples(_seconds, _seconds, _seconds, _seconds),
)


@settings(max_examples=50)
@given(st.lists(_answers, max_size=30), st.lists(st.sampled_from(Reason), max_size=10))
def test_a_tally_counts_as_a_counter_does(
    answers: list[tuple[int, int, int, int, tuple[float, float, float, float]]], reasons: list[Reason]
) -> None:
    tallies = Tallies.create(2, ("a", "b"))
    workers = [tallies.worker(0), tallies.worker(1)]
    expected: Counter[tuple[str, frozenset[tuple[str, str]]]] = Counter()

    def expect(count: float, name: str, **labels: str) -> None:
        expected[name, frozenset(labels.items())] += count  # type: ignore[assignment]

    for slot, model, status, rows, seconds in answers:
        workers[slot].answered(model, status, rows, *seconds)
        name = "ab"[model]
        expect(1, "requests_total", model=name, status=str(status) if status in STATUSES else "other")
        expect(rows, "rows_total", model=name)
        for step, spent in zip(STEPS, seconds, strict=True):
            if spent:
                expect(1, "step_seconds_count", model=name, step=step)
                expect(spent, "step_seconds_sum", model=name, step=step)
                for bound in (*map(str, BOUNDS_S[bisect_left(BOUNDS_S, spent) :]), "+Inf"):
                    expect(1, "step_seconds_bucket", model=name, step=step, le=bound)
    for reason in reasons:
        workers[0].rejected(reason)
        expect(1, "rejections_total", reason=reason)

    counts = {
        name: count
        for name, count in samples(tallies).items()
        if count and name[0].startswith(("requests", "rows", "step", "rejections"))
    }
    assert counts == pytest.approx({name: count for name, count in expected.items() if count})


class Watched(list[float]):
    """Cells of a row, read by somebody after every single store, or killed at one of them."""

    def __init__(self) -> None:
        super().__init__([0.0] * VERSION_CELLS)
        self.read: Callable[[], None] = lambda: None
        self.stores_left = math.inf

    def __setitem__(self, at: Any, cell: Any) -> None:
        self.stores_left -= 1
        if self.stores_left < 0:
            raise KilledError
        super().__setitem__(at, cell)
        self.read()


class KilledError(Exception):
    """The worker is gone, between two stores."""


_switches = st.tuples(st.integers(0, 1), st.integers(1, 14), st.integers(1, 9), st.integers(0, 6))


@settings(max_examples=40)
@given(st.lists(_switches, min_size=30, max_size=60))
def test_predictions_by_version_never_go_back_at_any_moment_and_none_is_lost(
    switches: list[tuple[int, int, int, int]],
) -> None:
    rows = [Watched(), Watched()]
    total = 0
    last: tuple[dict[int, float], float] = ({}, 0)
    ended: set[int] = set()

    def read() -> None:
        nonlocal last, ended
        now, older = predictions(rows, 0)
        assert sum(now.values()) + older == total
        assert older >= last[1]
        assert all(count >= last[0].get(version, 0) for version, count in now.items())
        ended |= last[0].keys() - now.keys()
        assert not ended & now.keys()
        last = now, older

    for slot, version, predicted, killed_at in switches:
        row = rows[slot]
        row.read = read
        row.stores_left = killed_at or math.inf
        with suppress(KilledError):
            switch(row, 0, version)
        row.stores_left = math.inf
        at = switch(row, 0, version)
        total += predicted
        row[at] += predicted


def by_version(tallies: Tallies) -> dict[str, float]:
    return {
        dict(labels)["version"]: count
        for (name, labels), count in samples(tallies).items()
        if name == "predictions_total"
    }


def test_the_highest_versions_are_counted_one_by_one_and_those_below_together() -> None:
    tallies = Tallies.create(1, ("a",))
    worker = tallies.worker(0)
    for version in range(1, VERSIONS_KEPT + 3):
        worker.loaded(0, version, loaded_at=1.0)
        worker.predicted(0, 10 * version)
    assert by_version(tallies) == {**{str(v): 10 * v for v in range(3, VERSIONS_KEPT + 3)}, "older": 10 + 20}


def test_a_version_that_one_worker_counts_as_older_is_older_for_all() -> None:
    tallies = Tallies.create(2, ("a",))
    workers = [tallies.worker(0), tallies.worker(1)]
    workers[0].loaded(0, 1, loaded_at=1.0)
    workers[0].predicted(0, 100)
    for version in range(2, VERSIONS_KEPT + 2):
        workers[1].loaded(0, version, loaded_at=1.0)
    assert by_version(tallies)["1"] == 100
    workers[1].loaded(0, 1, loaded_at=1.0)
    workers[1].predicted(0, 10)
    assert "1" not in by_version(tallies)
    assert by_version(tallies)["older"] == 110


def test_what_ends_after_its_model_went_off_stage_counts_for_its_version() -> None:
    tallies = Tallies.create(1, ("a",))
    worker = tallies.worker(0)
    worker.loaded(0, 4, loaded_at=1.0)
    worker.loaded(0, 0, loaded_at=2.0)
    worker.predicted(0, 3)
    assert by_version(tallies) == {"4": 3, "older": 0}
    assert value(samples(tallies), "model_version", model="a", worker="0") == 0
