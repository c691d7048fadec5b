"""What stops a canary, what does not, and how what was seen reaches whoever acts on it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from serving.routing.declaration import Guards
from serving.routing.guards import Watched, breach, has_enough
from serving.routing.watch import Watch, read_watch, write_watch

if TYPE_CHECKING:
    from pathlib import Path

GUARDS = Guards(error_share_at_most=0.01, latency_ratio_at_most=2.0, psi_at_most=0.25, at_least=200)
CHAMPION = Watched("c" * 64, 0.0, exposures=20_000, errors=5, p50_ms=0.4, p99_ms=1.5)
SOUND = Watched("d" * 64, 100.0, exposures=2000, errors=3, p50_ms=0.5, p99_ms=2.0, psi=0.02)


def test_a_sound_arm_goes_on() -> None:
    assert breach(GUARDS, SOUND, CHAMPION) is None
    assert has_enough(GUARDS, SOUND)
    assert not has_enough(GUARDS, replace(SOUND, exposures=199))


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ({"errors": 21}, "21 of 2000 answers are errors, expected a share of at most 0.01"),
        ({"exposures": 12, "errors": 3}, "3 of 12 answers are errors, expected a share of at most 0.01"),
        (
            {"p50_ms": 0.9},
            "the median of its latency is 0.9 ms beside 0.4 ms of the champion, expected at most 2",
        ),
        ({"p99_ms": 3.1}, "the 99th percentile of its latency is 3.1 ms beside 1.5 ms of the champion"),
        ({"psi": 0.31}, "its predictions are distributed otherwise than the champion's: PSI 0.31, expected"),
    ],
)
def test_what_is_beyond_a_bound_stops_it_with_a_sentence(seen: dict[str, float], said: str) -> None:
    assert said in (breach(GUARDS, replace(SOUND, **seen), CHAMPION) or "")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "seen",
    [
        {"errors": 20},
        {"exposures": 12, "errors": 2},
        {"exposures": 199, "errors": 0, "p50_ms": 50.0, "psi": 9.0},
        {"exposures": 999, "p99_ms": 50.0},
        {"p50_ms": None, "p99_ms": None, "psi": None},
    ],
)
def test_what_says_too_little_does_not(seen: dict[str, float]) -> None:
    assert breach(GUARDS, replace(SOUND, **seen), CHAMPION) is None  # type: ignore[arg-type]


def test_without_answers_of_the_champion_only_errors_stop_it() -> None:
    nothing = Watched("c" * 64, 0.0)
    slow = replace(SOUND, p50_ms=50.0, p99_ms=90.0, psi=3.0)
    assert breach(GUARDS, slow, nothing) is None
    assert "are errors" in (breach(GUARDS, replace(slow, errors=2000), nothing) or "")


def test_a_guard_that_was_taken_away_stops_nothing() -> None:
    bad = replace(SOUND, errors=2000, p50_ms=50.0, psi=3.0)
    assert breach(Guards(None, None, None), bad, CHAMPION) is None


def test_a_watch_is_read_as_it_was_written_and_is_of_one_version_in_one_step(tmp_path: Path) -> None:
    watch = Watch(12.5, {"careful": replace(SOUND, breach="because"), "champion": CHAMPION})
    write_watch(tmp_path / "watch.json", watch)
    assert read_watch(tmp_path / "watch.json") == watch
    assert watch.of("careful", "d" * 64, 100.0) is watch.arms["careful"]
    assert watch.of("careful", "e" * 64, 100.0) is None
    assert watch.of("careful", "d" * 64, 101.0) is None
    assert watch.of("later", "d" * 64, 100.0) is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"written_at": 1}',
        '{"written_at": true, "arms": {}}',
        '{"written_at": 1, "arms": {"a": {}}}',
        json.dumps({"written_at": 1, "arms": {"a": {**vars(SOUND), "errors": "3"}}}),
        json.dumps({"written_at": 1, "arms": {"a": {**vars(SOUND), "breach": 3}}}),
    ],
)
def test_what_is_no_watch_is_none(content: str, tmp_path: Path) -> None:
    (tmp_path / "watch.json").write_text(content)
    assert read_watch(tmp_path / "watch.json") is None
