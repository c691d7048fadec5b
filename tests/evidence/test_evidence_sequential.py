"""Confidence sequences: never claim more capital than there is, and hold at every look."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.sequential import Moments, matched_differences, sample_ratio, sequence, spread_of_larger
from evidence.sequential.betting import STAKES, log_capital
from evidence.sequential.ratio import log_evidence

VALUES = st.lists(st.floats(-1, 1), min_size=1, max_size=30).map(np.array)


def exact_log_capital(values: Any, claimed: float) -> float:
    logs = [np.log1p(stake * (values - claimed) / (1 + claimed)).sum() for stake in STAKES]
    return float(np.logaddexp.reduce(logs) - np.log(len(logs)))


@given(VALUES, st.floats(-0.95, 0.95))
def test_no_more_capital_is_claimed_than_there_is(values: Any, claimed: float) -> None:
    exact = exact_log_capital(values, claimed)
    found = float(log_capital(Moments.of(values), np.array(claimed)))
    assert found <= exact + 1e-6 * (1 + abs(exact))


def test_hardly_less_is_claimed_where_it_matters() -> None:
    values = np.random.default_rng(1).beta(2, 8, 20_000) - 0.2 + 0.005
    exact = exact_log_capital(values, 0.0)
    assert exact > math.log(1 / 0.05)
    assert float(log_capital(Moments.of(values), np.array(0.0))) == pytest.approx(exact, rel=0.02)


@pytest.mark.parametrize(("low", "high", "share"), [(-1, 1, 0.5), (-0.5, 1, 2 / 3), (-0.1, 0.9, 0.9)])
def test_the_capital_is_fair_on_all_ways_that_ten_values_can_fall(
    low: float, high: float, share: float
) -> None:
    """Of mean 0 all three; `share` of the values are `low`."""
    expected = 0.0
    for highs in range(11):
        values = np.array([high] * highs + [low] * (10 - highs))
        chance = math.comb(10, highs) * (1 - share) ** highs * share ** (10 - highs)
        expected += chance * math.exp(float(log_capital(Moments.of(values), np.array(0.0))))
    assert 0.9 < expected <= 1


@given(VALUES, st.sampled_from([0.3, 0.05, 0.001]))
def test_the_interval_is_around_the_mean_and_turns_with_the_values(values: Any, alpha: float) -> None:
    found, turned = (sequence(Moments.of(sign * values), alpha, 1.0) for sign in (1, -1))
    assert -1 <= found.low <= values.mean() + 1e-12
    assert values.mean() - 1e-12 <= found.high <= 1
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low), abs=1e-6)


def test_the_order_of_values_plays_no_part_and_their_unit_none_either() -> None:
    values = np.random.default_rng(0).uniform(-1, 0.9, 500)
    found = sequence(Moments.of(values), 0.05, 1.0)
    sorted_in_ms = sequence(Moments.of(1000 * np.sort(values)), 0.05, 1000.0)
    assert (found.low, found.high) == pytest.approx((sorted_in_ms.low / 1000, sorted_in_ms.high / 1000))


def test_a_look_is_what_the_first_values_say() -> None:
    values = 300 + np.random.default_rng(0).normal(size=(2, 400))
    looks = np.array([1, 150, 400])
    at_looks = Moments.of(values, looks)
    for at, look in enumerate(looks):
        alone = Moments.of(values[:, :look])
        for name in ("count", "mean", "second", "third", "fourth"):
            assert getattr(at_looks, name)[:, at] == pytest.approx(getattr(alone, name), abs=1e-9)


@pytest.mark.parametrize("largest", [1.0, None])
def test_all_looks_hold_together(largest: float | None) -> None:
    """A fixed-sample interval would miss in about a third of these."""
    draws = np.random.default_rng(7).beta(0.3, 2.7, (400, 3000)) - 0.1
    found = sequence(Moments.of(draws, np.arange(100, 3001, 50)), 0.05, largest)
    missed = ((found.low > 0) | (found.high < 0)).any(axis=1).mean()
    assert missed <= 0.05


def test_without_bounds_a_hundred_values_that_differ_are_needed() -> None:
    few, equal = np.arange(99.0), np.full(5000, 3.25)
    for values in (few, equal):
        found = sequence(Moments.of(values))
        assert (float(found.low), float(found.high)) == (-np.inf, np.inf)
    assert np.isfinite(sequence(Moments.of(np.arange(100.0))).low)


@pytest.mark.parametrize(
    ("alpha", "largest", "said"),
    [(0, 1, "alpha is 0, expected"), (1.5, None, "alpha is 1.5"), (0.05, 0, "largest possible value is 0")],
)
def test_what_cannot_be_is_refused(alpha: float, largest: float | None, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        sequence(Moments.of(np.arange(3.0)), alpha, largest)


@given(st.integers(0, 40), st.integers(0, 40), st.sampled_from([1, 1.5, 7 / 3, 9, 1 / 9, 0.3]))
def test_every_outcome_counts_in_one_difference(ours: int, theirs: int, ratio: float) -> None:
    challenger, champion = np.linspace(0, 1, ours), np.linspace(3, 9, theirs)
    found = matched_differences(challenger, champion, ratio)
    ones, many, sign = (challenger, champion, 1) if ratio >= 1 else (champion, challenger, -1)
    ends = [0, *(math.floor((k + 1) * max(ratio, 1 / ratio)) for k in range(41))]
    expected = [
        sign * (one - many[start:end].mean())
        for one, (start, end) in zip(ones, itertools.pairwise(ends), strict=False)
        if end <= len(many)
    ]
    assert found == pytest.approx(np.array(expected))


def test_matching_at_impossible_shares_is_refused() -> None:
    with pytest.raises(ValueError, match="ratio of champion to challenger is inf, expected a number above 0"):
        matched_differences(np.ones(3), np.ones(3), math.inf)


def test_the_evidence_on_shares_is_fair_on_all_ways_that_outcomes_can_fall() -> None:
    shares, total = np.array([0.7, 0.2, 0.1]), 12
    ways = [(a, b, total - a - b) for a in range(total + 1) for b in range(total + 1 - a)]
    chances = [
        math.factorial(total) / math.prod(map(math.factorial, way)) * math.prod(shares**way) for way in ways
    ]
    evidence = np.exp(log_evidence(np.array(ways, np.float64), shares))
    assert float(np.array(chances) @ evidence) == pytest.approx(1)


def test_a_slight_mismatch_is_found_and_chance_is_not() -> None:
    weights = {"champion": 90, "later": 10}
    fine = sample_ratio({"champion": 90_300, "later": 9_700}, weights)
    assert not fine.is_mismatch
    assert fine.said == (
        "traffic is shared as it should be, as far as 100,000 tell:"
        " champion 90.30% (90.00% expected), later 9.70% (10.00% expected)"
    )
    wrong = sample_ratio({"champion": 90_700, "later": 9_300}, weights)
    assert wrong.is_mismatch
    assert wrong.said.startswith("sample ratio mismatch (p 1.9e-11): of 100,000, champion 90.70%")
    assert "compare nothing before the cause is found" in wrong.said


def test_an_arm_that_should_get_nothing_and_one_that_got_nothing_are_mismatches() -> None:
    stopped = sample_ratio({"champion": 500, "careful": 1}, {"champion": 100, "careful": 0})
    assert stopped.is_mismatch
    assert "it should have had none" in stopped.said
    assert sample_ratio({"champion": 500, "careful": 0}, {"champion": 90, "careful": 10}).is_mismatch
    assert not sample_ratio({"champion": 5, "careful": 0}, {"champion": 90, "careful": 10}).is_mismatch
    assert sample_ratio({"champion": 0}, {"champion": 1}).said.startswith("no traffic yet")


@pytest.mark.parametrize(
    ("counts", "weights", "said"),
    [
        ({"a": 1}, {"a": 1, "b": 1}, "arm 'b' has a count or a weight, expected both"),
        ({"a": -1}, {"a": 1}, "expected none below 0"),
        ({"a": 1}, {"a": 0}, "expected none below 0 and one above"),
        ({"a": 1}, {"a": math.nan}, "expected none below 0 and one above"),
    ],
)
def test_counts_and_weights_that_cannot_be_are_refused(counts: Any, weights: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        sample_ratio(counts, weights)


def test_a_small_arm_that_has_not_seen_its_slowest_is_not_called_better() -> None:
    """Equal arms with heavy tails: without the larger arm's spread, 21 of these are called better."""
    random = np.random.default_rng(3)
    looks = np.unique(np.geomspace(100, 2000, 20).astype(np.int64))
    called = 0
    for _ in range(200):
        ours, theirs = random.lognormal(1, 1.5, 2000), random.lognormal(1, 1.5, 98_000)
        moments = Moments.of(matched_differences(ours, theirs, 49), looks)
        spread = [spread_of_larger(ours[:look], theirs[: 49 * look], 49) for look in looks]
        called += bool((sequence(moments, least_variance=np.array(spread)).high < 0).any())
    assert called <= 2


def test_the_spread_is_that_of_the_larger_arm_on_either_side() -> None:
    narrow, wide = np.array([1.0, 2.0]), np.array([0.0, 10.0])
    assert spread_of_larger(narrow, wide, 4) == pytest.approx(25 * 1.25)
    assert spread_of_larger(wide, narrow, 0.25) == pytest.approx(25 * 1.25)
