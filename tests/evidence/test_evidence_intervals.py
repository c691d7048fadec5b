"""Intervals: deterministic, independent of order, honest, and about as wide as they say."""

from typing import Any

import numpy as np
import pytest

from evidence import METRICS, Estimate, Resampling, difference, estimate, metrics_for
from evidence.intervals import number_blocks

AUC, LOG_LOSS, RMSE = METRICS["auc"], METRICS["log_loss"], METRICS["rmse"]


def month(seed: int = 0, rows: int = 900, days: int = 31) -> dict[str, Any]:
    """Rows of a month on which days differ, with two models' predictions."""
    random = np.random.default_rng(seed)
    day = np.arange(rows) % days
    x = random.normal(size=rows) + random.normal(0, 0.4, days)[day]
    label = (random.random(rows) < 1 / (1 + np.exp(1 - x))).astype(np.float64)
    candidate, champion = (1 / (1 + np.exp(1 - x - random.normal(0, s, rows))) for s in (0.5, 0.9))
    return {"label": label, "candidate": candidate, "champion": champion, "blocks": day}


def of_order(data: dict[str, Any], order: Any) -> dict[str, Any]:
    return {name: values[order] for name, values in data.items()}


@pytest.mark.parametrize("with_days", [True, False])
@pytest.mark.parametrize("metric", [AUC, LOG_LOSS, METRICS["calibration_error"]], ids=lambda m: m.name)
def test_the_order_of_rows_plays_no_part(metric: Any, *, with_days: bool) -> None:
    data = month()
    if not with_days:
        del data["blocks"]
    found = difference(metric, **data)
    again = difference(metric, **of_order(data, np.random.default_rng(3).permutation(900)))
    assert (found.value, found.low, found.high) == pytest.approx((again.value, again.low, again.high))
    assert found.blocks == (31 if with_days else 400)


@pytest.mark.parametrize("with_days", [True, False])
def test_swapping_the_two_models_turns_the_sign(*, with_days: bool) -> None:
    data = month()
    if not with_days:
        del data["blocks"]
    swapped = data | {"candidate": data["champion"], "champion": data["candidate"]}
    found, turned = difference(AUC, **data), difference(AUC, **swapped)
    assert found.low is not None
    assert found.high is not None
    assert (turned.value, turned.low, turned.high) == pytest.approx((-found.value, -found.high, -found.low))


def test_the_value_lies_inside_and_the_pair_is_narrower_than_the_two() -> None:
    data = month()
    label, day = data["label"], data["blocks"]
    ours = estimate(LOG_LOSS, label, data["candidate"], day)
    paired = difference(LOG_LOSS, **data)
    assert ours.low is not None
    assert ours.high is not None
    assert paired.low is not None
    assert paired.high is not None
    assert ours.low < ours.value < ours.high
    assert paired.high - paired.low < ours.high - ours.low


def test_a_seed_gives_the_same_answer_and_another_nearly_the_same() -> None:
    data = month()
    found = difference(AUC, **data, resampling=Resampling(seed=1))
    assert found == difference(AUC, **data, resampling=Resampling(seed=1))
    other = difference(AUC, **data, resampling=Resampling(seed=2))
    assert found != other
    assert found.low == pytest.approx(other.low, abs=0.01)


def test_a_higher_level_is_wider_however_high() -> None:
    data = month()
    widths = []
    for level in (0.8, 0.95, 0.999, 0.99999):
        found = difference(AUC, **data, resampling=Resampling(level=level))
        assert found.low is not None
        assert found.high is not None
        widths.append(found.high - found.low)
    assert widths == sorted(widths)


def test_two_equal_models_do_not_differ() -> None:
    data = month()
    found = difference(AUC, data["label"], data["candidate"], data["candidate"], data["blocks"])
    assert found == Estimate(0.0, 0.0, 0.0, 31)


def test_of_seven_days_there_is_no_interval() -> None:
    data = month(days=7)
    found = estimate(AUC, data["label"], data["candidate"], data["blocks"])
    reason = "7 blocks of rows, at least 8 are needed"
    assert found == Estimate(AUC.of(data["label"], data["candidate"]), None, None, 7, reason)
    assert estimate(AUC, data["label"], data["candidate"], np.zeros(900)).reason == (
        "1 block of rows, at least 8 are needed"
    )


def test_positives_on_one_day_only_give_no_interval() -> None:
    data = month()
    label = (data["blocks"] == 4).astype(np.float64)
    found = estimate(AUC, label, data["candidate"], data["blocks"])
    assert (found.low, found.high) == (None, None)
    assert found.reason is not None
    assert found.reason.startswith("it cannot be computed in 3")
    assert found.reason.endswith("% of the resamples")


def test_an_interval_stays_where_the_metric_can_be() -> None:
    data = month()
    nearly = np.where(data["label"] > 0, data["candidate"] + 0.9, data["candidate"])
    found = estimate(AUC, data["label"], nearly, data["blocks"])
    assert found.high == 1.0


def test_one_huge_day_makes_the_rest_say_little() -> None:
    data = month()
    unequal = np.where(data["blocks"] < 21, 0, data["blocks"])
    even, uneven = (
        estimate(RMSE, data["label"], data["candidate"], day) for day in (data["blocks"], unequal)
    )
    assert even.high is not None
    assert uneven.high is not None
    assert uneven.high - uneven.value > 2 * (even.high - even.value)


def test_names_of_days_may_be_of_any_kind() -> None:
    data = month()
    named = np.array([f"2013-07-{day + 1:02}" for day in data["blocks"]])
    dates = named.astype("datetime64[D]")
    found = [estimate(AUC, data["label"], data["candidate"], d) for d in (data["blocks"], named, dates)]
    assert found[0] == found[1] == found[2]


def test_many_blocks_are_put_together_whole() -> None:
    names = np.random.default_rng(0).integers(0, 5_000, 20_000)
    block, count = number_blocks(names, (names.astype(np.float64),), seed=0)
    assert count == 400
    for name in (0, 17, 4_999):
        assert len(set(block[names == name].tolist())) == 1
    assert np.bincount(np.unique(np.stack([names, block]), axis=1)[1]).max() <= 13


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^The level of an interval is 95, expected between 0 and 1"):
        Resampling(level=95)
    with pytest.raises(ValueError, match=r"^10 resamples are too few, expected 200 or more$"):
        Resampling(resamples=10)
    with pytest.raises(ValueError, match=r"^found blocks of \(2,\), expected one for each of \(3,\) rows$"):
        estimate(RMSE, np.zeros(3), np.ones(3), np.array([1, 2]))


def test_the_mean_of_many_rows_has_the_interval_of_the_textbook() -> None:
    random = np.random.default_rng(5)
    error = random.normal(0, 2, 10_000)
    found = estimate(METRICS["bias"], np.zeros(10_000), error)
    assert found.low is not None
    half = 1.966 * error.std(ddof=1) / 100
    assert found.value - found.low == pytest.approx(half, rel=0.1)


def test_intervals_of_correlated_days_hold_about_as_often_as_they_say() -> None:
    # Rows of a day share its effect; were they taken as independent, a third would hold.
    random, held = np.random.default_rng(11), 0
    day = np.repeat(np.arange(20), 50)
    for repetition in range(80):
        error = random.normal(0, 1, 20)[day] + random.normal(0, 1, 1000)
        found = estimate(METRICS["bias"], np.zeros(1000), error, day, Resampling(seed=repetition))
        held += found.low is not None and found.high is not None and found.low <= 0 <= found.high
    assert 70 <= held <= 80


def test_a_threshold_metric_has_an_interval_too() -> None:
    data = month()
    metric = metrics_for("classification", ["recall"], 0.3)["recall"]
    found = estimate(metric, data["label"], data["candidate"], data["blocks"])
    assert found.low is not None
    assert 0 < found.low < found.value
