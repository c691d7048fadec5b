"""The engine of one machine: days that are mapped at once share its workers."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from tallies import result

from batch_jobs.engines.local import Threads
from batch_jobs.results import SplitResult
from batch_jobs.splits import Piece, Split
from storage import ObjectVersion


def splits(day: int, many: int) -> list[Split]:
    return [Split((Piece(ObjectVersion(f"s3://b/{day}/{n}", None, "e", 1)),)) for n in range(many)]


def test_days_at_once_never_take_more_workers_than_there_are() -> None:
    engine, lock = Threads(2), threading.Lock()
    running, most = 0, 0

    def score(split: Split) -> SplitResult:
        nonlocal running, most
        assert split.pieces
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1
        return result(1, 0)

    with ThreadPoolExecutor(5) as days:
        done = list(days.map(lambda day: list(engine.map(score, splits(day, 6))), range(5)))
    assert [len({split.name for split, _ in each}) for each in done] == [6] * 5
    assert most == 2


def test_a_day_that_fails_begins_no_more_of_its_splits_and_leaves_those_of_others() -> None:
    engine, begun = Threads(1), list[str]()

    def score(split: Split) -> SplitResult:
        begun.append(split.pieces[0].object.uri)
        time.sleep(0.01)
        if split.pieces[0].object.uri == "s3://b/1/0":
            raise ValueError("unfit")
        return result(1, 0)

    def map_bad() -> None:
        for _ in engine.map(score, splits(1, 50)):
            pass

    with ThreadPoolExecutor(2) as days:
        bad = days.submit(map_bad)
        good = days.submit(lambda: list(engine.map(score, splits(2, 5))))
        assert len(good.result(30)) == 5
        with pytest.raises(ValueError, match="unfit"):
            bad.result(30)
    assert len([uri for uri in begun if uri.startswith("s3://b/1/")]) < 50
