"""The benchmark of shadows: what it says of promises, and, if there is time for it, a short run."""

from __future__ import annotations

import json
import subprocess
import sys

from commands import REPOSITORY
from needs import only_exhaustively

from benchmarks.shadows import WAYS, Shadowed
from benchmarks.shadows_figures import as_json, broken


def heard(**slower: float) -> Shadowed:
    """Three rounds, in which the longest of a hundred requests took so many times as long."""
    rounds = {way: [[1.0] * 98 + [4.0 * slower.get(way, 1.0)] * 2] * 3 for way in WAYS}
    return Shadowed(took_ms=rounds, dropped={"sleeps": 7.0})


def test_what_is_held_is_not_complained_about() -> None:
    found = heard(works=1.5, sleeps=1.05, dies=0.9)
    assert broken(found) == []
    said = json.loads(as_json(found))
    assert (said["p99_ratio_works"], said["p99_ratio_sleeps"], said["p99_ratio_dies"]) == (1.5, 1.05, 0.9)
    assert (said["p99_ms_none"], said["dropped_sleeps"], said["failed"]) == (4.0, 7.0, 0)


def test_what_is_not_held_is_said() -> None:
    found = heard(sleeps=1.2)
    found.failed = 3
    assert broken(found) == [
        "with a shadow that sleeps, the champion's p99 is 1.200 times that without",
        "3 answers were wrong, or none",
    ]


@only_exhaustively("starts an endpoint of its own")
def test_a_short_run_ends_with_one_json_object() -> None:
    command = [sys.executable, "-m", "benchmarks", "shadows", "--rounds", "1", "--seconds", "1"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["failed"] == 0
    assert said["p99_ms_none"] > 0
