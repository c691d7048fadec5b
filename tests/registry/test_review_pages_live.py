"""A comparison on live traffic, as the page of a version shows it: bounded, and of this artifact only."""

from __future__ import annotations

import json
from typing import Any

import pytest
from live_comparisons import compared
from test_review_pages_screens import version

from registry.server.pages import live
from registry.stages import Stage

CANDIDATE, CHAMPION = version(2, Stage.STAGING), version(1, Stage.PRODUCTION)


def read(found: object) -> live.LiveComparison:
    return live.read(json.dumps(found).encode(), CANDIDATE, CHAMPION)


def test_what_was_measured_is_laid_out() -> None:
    shown = read(compared())
    assert (shown.beside, shown.period) == (
        "Beside version 1, in Production. Mode: ab.",
        "2013-07-01 to 2013-07-09",
    )
    assert shown.said == ("The shares are as declared.", "Each metric has a quarter of alpha.")
    brier, latency = shown.metrics
    assert (brier.outcome, brier.mark, brier.difference, brier.delta, brier.observations, brier.more) == (
        "better",
        "good",
        "-0.012 (-0.020 to -0.0046)",
        "0.005",
        "12,345",
        "",
    )
    assert (latency.outcome, latency.mark, latency.more) == ("keep going", "plain", "4,000")
    assert shown.counts == (("outcomes", "12,345"), ("never", "17"))


@pytest.mark.parametrize(
    "side",
    [{"version": 2, "digest": "e" * 64}, {"version": 3, "digest": "d" * 64}, {}, None, [2]],
)
def test_what_is_about_another_artifact_is_not_shown(side: object) -> None:
    with pytest.raises(ValueError, match="It is about another artifact than this version's"):
        read(compared(challenger=side))


@pytest.mark.parametrize("side", [{"version": 1, "digest": "e" * 64}, {"version": 7, "digest": "d" * 64}])
def test_another_champion_is_said_to_be_one(side: dict[str, Any]) -> None:
    shown = read(compared(champion=side))
    assert f"version {side['version']}, which is not what is in Production beside it now" in shown.beside


def test_a_flood_is_bounded() -> None:
    row = {"metric": "m" * 999, "outcome": "o" * 999, "said": "s" * 999, "more": 10**400, "low": "x"}
    flood = compared(
        metrics=[row] * 99,
        said=[f"{n} " * 999 for n in range(99)],
        counts={f"name {n}": n for n in range(99)},
        mode="y" * 9000,
        since="z" * 9000,
    )
    shown = read(flood)
    assert (len(shown.metrics), len(shown.said), len(shown.counts)) == (40, 21, 40)
    texts = [*shown.said, shown.period, shown.beside, *(t for m in shown.metrics for t in vars(m).values())]
    assert max(map(len, texts)) < 500


@pytest.mark.parametrize("key", ["said", "metrics", "counts", "ratio", "mode", "since", "champion"])
@pytest.mark.parametrize("value", [None, 7, "text", [None, 1, {}], {"a": [1]}, True, float("nan")], ids=repr)
def test_what_is_not_as_agreed_does_no_harm(key: str, value: object) -> None:
    shown = read(compared(**{key: value}))
    assert not shown.problem


@pytest.mark.parametrize("value", [None, "1", True, {}, float("nan"), float("inf"), -(10**400)], ids=repr)
def test_numbers_that_are_none_do_no_harm(value: object) -> None:
    numbers = ("difference", "low", "high", "delta", "observations", "more")
    [row] = read(compared(metrics=[dict.fromkeys(numbers, value)])).metrics
    assert (row.observations, row.more) == ("", "")
    assert "nan" not in row.difference + row.delta


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"7", b"[" * 100_000, b"\xff", b"9" * 5000])
def test_what_is_no_comparison_is_an_error_of_its_own(text: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        live.read(text, CANDIDATE, CHAMPION)
