"""The storms of the benchmark, short: what it prints, and what it says of promises that were not held."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from commands import REPOSITORY
from needs import only_exhaustively

from benchmarks.storms import Storms
from benchmarks.storms_figures import as_json, broken

HEARD = {
    "statuses": {"200": 9},
    "versions": {"1": 5, "2": 4},
    "wrong": 0,
    "p50_ms": 1,
    "p99_ms": 2,
    "max_ms": 3,
}
FINE = Storms(calm=HEARD, swaps=HEARD, overload=HEARD, after=HEARD, capacity=1, offered=10)


def test_what_is_held_is_not_complained_about() -> None:
    assert broken(FINE) == []


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (
            {"swaps": {**HEARD, "statuses": {"200": 8, "500": 1}}},
            "requests failed while versions changed: {'500': 1}",
        ),
        ({"swaps": {**HEARD, "wrong": 2}}, "2 answers were not those of their version"),
        ({"swaps": {**HEARD, "versions": {"1": 9}}}, "only {'1': 9} answered"),
        ({"swaps": {**HEARD, "p99_ms": 6.5}}, "p99 was 6.50 ms while they changed, 2.00 before"),
        ({"slowest_swap_s": 7.0}, "a version was served 7.0 s after the review"),
        (
            {"overload": {**HEARD, "statuses": {"504": 1}}},
            "answers other than 200 and 503 under overload: {'504': 1}",
        ),
        ({"ping_p99_ms": 80.0}, "/ping took 80 ms (p99) under overload"),
        ({"memory_mib": (100.0, 900.0)}, "memory grew by 800 MiB under overload"),
        ({"kill_failures": 9}, "9 requests of 8 clients failed with one worker"),
    ],
)
def test_what_is_not_held_is_said(changed: dict[str, object], says: str) -> None:
    assert broken(replace(FINE, **changed)) == [says]  # type: ignore[arg-type]  # of the fields as they are


def test_the_one_line_says_what_was_heard_and_not_each_answer() -> None:
    timed = {**HEARD, "took_ms": [1.0] * 9}
    said = json.loads(as_json(Storms(calm=timed, swaps=timed, overload=timed, after=timed, offered=10)))
    assert [said[name] for name in ("calm", "swaps", "overload", "after")] == [HEARD] * 4
    assert (said["benchmark"], said["broken"]) == ("storms", [])


@only_exhaustively("starts a stack of its own")
def test_short_storms_end_with_one_json_object() -> None:
    command = [sys.executable, "-m", "benchmarks", "storms", "--seconds", "4", "--reign", "2"]
    ran = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    said = json.loads(ran.stdout.splitlines()[-1])
    assert said["swaps"]["statuses"].keys() == {"200"}, ran.stdout + ran.stderr
    assert said["overload"]["wrong"] == said["swaps"]["wrong"] == 0
    assert said["swapped"] >= 1
    assert "changes of version" in ran.stdout
