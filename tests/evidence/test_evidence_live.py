"""Live comparisons: what is said of arms that are good, bad, alike, empty or broken."""

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from evidence import LIVE_METRICS, Comparison, Goal, compare, mean_by_unit, sample_ratio

BRIER = {"brier": Goal(0.01)}


def losses(mean: float, rows: int, seed: int = 0) -> dict[str, Any]:
    return {"brier": np.random.default_rng(seed).beta(4 * mean, 4 * (1 - mean), rows)}


def only(verdict: Any) -> Comparison:
    (found,) = verdict.comparisons
    assert isinstance(found, Comparison)
    return found


@pytest.mark.parametrize(("mean", "outcome"), [(0.12, "better"), (0.28, "worse"), (0.201, "no_difference")])
def test_enough_outcomes_decide(mean: float, outcome: str) -> None:
    found = only(compare(losses(mean, 20_000, 1), losses(0.2, 180_000), BRIER, weights=(10, 90)))
    assert found.outcome == outcome
    assert found.difference == pytest.approx(mean - 0.2, abs=0.005)
    assert found.observations == 200_000
    assert found.more is None
    said = "no difference larger than 0.01" if outcome == "no_difference" else f"the challenger is {outcome}"
    assert found.said.startswith(f"brier: {said}: ")


def test_a_higher_reward_is_better() -> None:
    ours, theirs = ((np.random.default_rng(0).random(20_000) < share).astype(float) for share in (0.6, 0.5))
    goal = {"reward": Goal(bounds=(0, 1))}
    assert only(compare({"reward": ours}, {"reward": theirs}, goal)).outcome == "better"
    assert only(compare({"reward": theirs}, {"reward": ours}, goal)).outcome == "worse"


def test_how_many_more_it_may_take_is_about_how_many_it_takes() -> None:
    few = only(compare(losses(0.18, 1000, 1), losses(0.2, 1000), BRIER))
    assert few.outcome == "keep_going"
    assert few.more is not None
    assert few.said.startswith(f"brier: keep going, for about {few.more:,} more: ")
    value = LIVE_METRICS["brier"]
    again = [
        np.tile(losses(mean, 1000, seed)["brier"], 1 + few.more // 2000 + 1)
        for mean, seed in ((0.18, 1), (0.2, 0))
    ]
    assert only(compare({value.name: again[0]}, {value.name: again[1]}, BRIER)).outcome != "keep_going"


def test_pairs_need_far_fewer_outcomes() -> None:
    theirs = losses(0.2, 3000)["brier"]
    ours = theirs * np.random.default_rng(1).uniform(0.85, 1.05, 3000)
    goal, champion = {"brier": Goal(0.001)}, {"brier": theirs}
    others = {"brier": np.random.default_rng(2).permutation(ours)}
    assert only(compare(others, champion, goal)).outcome == "keep_going"
    paired = only(compare({"brier": ours}, champion, goal, paired=True))
    assert (paired.outcome, paired.observations) == ("better", 3000)


def test_each_metric_gets_its_part_of_alpha() -> None:
    ours, theirs = losses(0.18, 3000, 1), losses(0.2, 3000)
    late, more = ({"latency_ms": np.random.default_rng(n).lognormal(1, 1, 3000)} for n in (2, 3))
    alone = only(compare(ours, theirs, BRIER, alpha=0.025))
    both = compare(ours | late, theirs | more, BRIER | {"latency_ms": Goal(5)}, alpha=0.05)
    assert both.comparisons[0] == alone
    assert both.said[-1] == (
        "the chance that any interval is ever wrong, at any look, is 0.05, 0.025 for each of 2 metrics;"
        " of latency_ms that is nearly so, as values have no known bounds"
    )
    assert both.comparisons[1].said.startswith("latency_ms: no difference larger than 5 ms: ")


def test_a_mismatch_leaves_everything_undecided() -> None:
    ratio = sample_ratio({"later": 20_000, "champion": 10_000}, {"later": 50, "champion": 50})
    verdict = compare(losses(0.1, 20_000, 1), losses(0.2, 10_000), BRIER, ratio=ratio)
    assert only(verdict).outcome == "mismatch"
    assert only(verdict).said == "brier: not judged, because traffic is not shared as it should be"
    assert verdict.said[0] == ratio.said


@pytest.mark.parametrize(
    ("ours", "theirs", "outcome", "said"),
    [
        ([], [0.1], "no_data", "no outcomes of the challenger yet"),
        ([], [], "no_data", "no outcomes of the challenger and the champion yet"),
        ([float("nan")], [0.1, 0.2], "no_data", "no outcomes of the challenger yet"),
        ([0.1], [0.2], "keep_going", "keep going; nobody can say for how long"),
        (
            [0.1, 2.5],
            [0.2, 0.3],
            "no_data",
            "1 of 2 values of the challenger are not between 0 and 1, as 2.5",
        ),
        ([0.0] * 50, [0.0] * 50, "keep_going", "keep going, for about"),
        ([0.0] * 5000, [0.0] * 5000, "no_difference", "no difference larger than 0.01: +0 ("),
        ([0.1, float("inf")] * 50, [0.1] * 100, "keep_going", "; 50 without a value are left out"),
    ],
)
def test_what_can_be_odd_about_arms_is_a_sentence(ours: Any, theirs: Any, outcome: str, said: str) -> None:
    found = only(compare({"brier": np.array(ours)}, {"brier": np.array(theirs)}, BRIER))
    assert found.outcome == outcome
    assert said in found.said
    assert found.said.startswith("brier: ")


def test_one_outcome_against_many_expected_cannot_be_matched_yet() -> None:
    found = only(compare(losses(0.2, 3), losses(0.2, 3), BRIER, weights=(1, 99)))
    assert (found.outcome, found.observations) == ("no_data", 6)
    assert found.said.endswith(
        "too few outcomes to hold one arm against the other: 3 of the challenger and 3 of the champion"
    )


def test_without_bounds_few_or_equal_outcomes_say_nothing() -> None:
    goal = {"latency_ms": Goal(5)}
    few, equal = ({"latency_ms": np.full(rows, 4.5)} for rows in (20, 2000))
    assert only(compare(few, few, goal)).said == (
        "latency_ms: keep going; 100 differences are needed before anything is said, found 20"
    )
    found = only(compare(equal, equal, goal))
    assert (
        found.said == "latency_ms: keep going; all 2,000 differences are equal, which says nothing of others"
    )
    assert (found.low, found.high, found.more) == (None, None, None)


def test_a_verdict_is_json() -> None:
    ratio = sample_ratio({"later": 0, "champion": 4}, {"later": 10, "champion": 90})
    verdict = compare({}, losses(0.2, 4), BRIER, ratio=ratio)
    assert json.loads(json.dumps(asdict(verdict), allow_nan=False))["comparisons"][0]["metric"] == "brier"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda: compare({}, {}, {"auc": Goal()}),
            "metric 'auc' is not known, expected one of brier, log_loss,",
        ),
        (lambda: compare({}, {}, BRIER, alpha=1), "alpha is 1, expected a number between 0 and 1"),
        (lambda: Goal(-1), "delta is -1, expected 0 or more"),
        (lambda: Goal(bounds=(1, 0)), r"the bounds are \(1, 0\), expected \(least, most\)"),
        (
            lambda: compare(losses(0.2, 3), losses(0.2, 4), BRIER, paired=True),
            "found 3 values of the challenger, 4 of the champion, expected pairs",
        ),
    ],
)
def test_what_cannot_be_asked_is_refused(call: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        call()


def test_metrics_are_made_from_labels_and_predictions() -> None:
    label, predicted = np.array([1.0, 0.0]), np.array([0.75, 0.5])
    made = {name: metric.of(label, predicted) for name, metric in LIVE_METRICS.items() if metric.of}
    assert made["brier"] == pytest.approx([0.0625, 0.25])
    assert made["absolute_error"] == pytest.approx([0.25, 0.5])
    assert made["log_loss"] == pytest.approx([-np.log(0.75), np.log(2)])
    assert set(LIVE_METRICS) - set(made) == {"reward", "error_rate", "latency_ms"}


def test_an_entity_counts_once_in_the_order_of_its_first_request() -> None:
    units = np.array(["z", "a", "z", "m", "a"], np.object_)
    found = mean_by_unit(units, np.array([1.0, 5.0, 2.0, np.nan, np.inf]))
    assert found == pytest.approx([1.5, 5.0, np.nan], nan_ok=True)
