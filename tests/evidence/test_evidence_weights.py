"""Every metric: known values, weights as repetition, and blocks that are summed as rows are."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence import METRICS, Metric, choose_threshold, metric_names, metrics_for

CLASSIFICATION = metrics_for("classification", metric_names("classification"), threshold=0.5)
REGRESSION = metrics_for("regression", metric_names("regression"))
EVERY = [*CLASSIFICATION.values(), *REGRESSION.values()]

_SCORES = st.one_of(st.sampled_from([0.1, 0.25, 0.5, 0.9]), st.floats(0.001, 0.999))
_NUMBERS = st.one_of(st.sampled_from([-3.0, 0.0, 2.5]), st.floats(-1e4, 1e4))

# Times on a busy machine say nothing here, and each of these runs once per metric.
_BRIEF = settings(max_examples=30)

every_metric = pytest.mark.parametrize("metric", EVERY, ids=lambda metric: metric.name)


def rows_of(metric: Metric, label: Any, predicted: Any) -> tuple[Any, Any]:
    """Shape generated rows for the metric's task, with what every metric needs among the first rows."""
    label, predicted = np.array(label), np.array(predicted)
    if metric.task == "classification":
        label = (label > 0).astype(np.float64)
        label[:2], predicted[:2] = (0, 1), (0.3, 0.7)
    else:
        predicted = predicted * 100
        label[:2] = (-7, 12)
    return label, predicted


@st.composite
def weighted(draw: st.DrawFn) -> tuple[Any, Any, Any]:
    rows = draw(st.lists(st.tuples(_NUMBERS, _SCORES, st.integers(0, 4)), min_size=3, max_size=40))
    label, predicted, weight = zip(*rows, strict=True)
    return label, predicted, np.array([1, 1, *weight[2:]])


@every_metric
@_BRIEF
@given(weighted())
def test_a_row_of_weight_w_counts_as_w_rows(metric: Metric, data: tuple[Any, Any, Any]) -> None:
    label, predicted = rows_of(metric, *data[:2])
    weight = data[2]
    repeated = metric.of(np.repeat(label, weight), np.repeat(predicted, weight))
    assert metric.of(label, predicted, weight) == pytest.approx(repeated, rel=1e-8, abs=1e-10)


@every_metric
@_BRIEF
@given(weighted(), st.randoms(use_true_random=False))
def test_no_metric_depends_on_the_order_of_rows(
    metric: Metric, data: tuple[Any, Any, Any], random: Any
) -> None:
    label, predicted = rows_of(metric, *data[:2])
    order = random.sample(range(len(label)), len(label))
    shuffled = metric.of(label[order], predicted[order], data[2][order])
    assert metric.of(label, predicted, data[2]) == pytest.approx(shuffled, rel=1e-8, abs=1e-10)


@every_metric
@_BRIEF
@given(
    weighted(),
    st.lists(st.integers(0, 3), min_size=40, max_size=40),
    st.lists(st.integers(0, 3), min_size=4, max_size=4),
)
def test_resampled_blocks_measure_as_their_rows_repeated(
    metric: Metric, data: tuple[Any, Any, Any], block: list[int], counts: list[int]
) -> None:
    label, predicted = rows_of(metric, *data[:2])
    blocks, drawn = np.array(block[: len(label)]), np.array([[1.0, 1, 1, 1], counts])
    with np.errstate(all="raise"):
        replayed = metric.statistic.replay(label, predicted, blocks, 4)(drawn)
    for value, count in zip(replayed, drawn, strict=True):
        rows = np.repeat(np.arange(len(label)), count[blocks].astype(int))
        try:
            expected = metric.of(label[rows], predicted[rows])
        except ValueError:
            assert not np.isfinite(value)
        else:
            assert value == pytest.approx(expected, rel=1e-7, abs=1e-9)


@_BRIEF
@given(weighted())
def test_auc_is_the_share_of_pairs_ranked_right(data: tuple[Any, Any, Any]) -> None:
    label, score = rows_of(METRICS["auc"], *data[:2])
    positive, negative = score[label > 0][:, None], score[label == 0]
    pairs = (positive > negative) + (positive == negative) / 2
    assert METRICS["auc"].of(label, score) == pytest.approx(pairs.mean(), abs=1e-12)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("auc", 3 / 4),
        ("brier", (0.04 + 0.64 + 0.09 + 0.01) / 4),
        ("log_loss", -np.log([0.8, 0.2, 0.7, 0.9]).mean()),
        ("precision", 2 / 3),
        ("recall", 1.0),
    ],
)
def test_four_rows_by_hand(name: str, value: float) -> None:
    label, predicted = np.array([0.0, 0, 1, 1]), np.array([0.2, 0.8, 0.7, 0.9])
    assert CLASSIFICATION[name].of(label, predicted) == pytest.approx(value)


def test_the_calibration_error_of_two_bins_by_hand() -> None:
    label, predicted = np.array([0.0] * 10 + [1.0, 0.0] * 5), np.array([0.1] * 10 + [0.8] * 10)
    assert METRICS["calibration_error"].of(label, predicted) == pytest.approx((0.1 + 0.3) / 2)


def test_a_perfectly_calibrated_tie_has_no_calibration_error() -> None:
    label = np.array([0.0, 1.0, 0.0, 0.0])
    assert METRICS["calibration_error"].of(label, np.full(4, 0.25)) == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize(
    ("name", "value"), [("rmse", np.sqrt(26 / 4)), ("mae", 2.0), ("bias", -0.5), ("r2", 1 - 26 / 20)]
)
def test_regression_by_hand(name: str, value: float) -> None:
    label, predicted = np.array([1.0, 3.0, 5.0, 7.0]), np.array([1.0, 6.0, 4.0, 3.0])
    assert REGRESSION[name].of(label, predicted) == pytest.approx(value)


def test_r2_keeps_its_digits_far_from_zero() -> None:
    label, predicted = np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 4.0])
    assert METRICS["r2"].of(label + 1e9, predicted + 1e9) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("name", "label", "predicted", "sentence"),
    [
        (
            "precision",
            [0, 1],
            [0.1, 0.2],
            ("precision needs rows predicted at or above 0.5; found 1 positives, 1 negatives"),
        ),
        ("recall", [0, 0], [0.1, 0.9], "recall needs positives; found 0 positives, 2 negatives"),
        ("r2", [2, 2, 2], [1, 2, 3], "r2 needs labels that differ; found 3 rows"),
        ("rmse", [], [], "rmse needs at least one row; found 0 rows"),
        (
            "calibration_error",
            [],
            [],
            ("calibration_error needs at least one row; found 0 positives, 0 negatives"),
        ),
        ("auc", [0, 2], [0.1, 0.9], "auc: found the label 2, expected 0 or 1"),
        ("auc", [0, 1], [0.1, np.nan], "auc: 1 of 2 predictions are no finite numbers"),
        ("mae", [np.inf, 1], [0.1, 1], "mae: 1 of 2 labels are no finite numbers"),
        (
            "mae",
            [0, 1],
            [0.1],
            ("mae: found labels of shape (2,) and predictions of shape (1,), expected (rows,) of both"),
        ),
    ],
)
def test_what_cannot_be_measured_says_why(name: str, label: Any, predicted: Any, sentence: str) -> None:
    metric = {**CLASSIFICATION, **REGRESSION}[name]
    with pytest.raises(ValueError, match=r".") as refusal:
        metric.of(np.array(label, np.float64), np.array(predicted, np.float64))
    assert str(refusal.value) == sentence


@pytest.mark.parametrize("weight", [[1, -1], [1]])
def test_weights_that_make_no_sense_are_refused(weight: Any) -> None:
    with pytest.raises(ValueError, match=r"^rmse: found weights of shape .*, expected \(2,\), none below 0$"):
        METRICS["rmse"].of(np.zeros(2), np.zeros(2), np.array(weight, np.float64))


def test_metrics_come_in_the_order_asked_for() -> None:
    found = metrics_for("classification", ["recall", "auc"], threshold=0.3)
    assert list(found) == ["recall", "auc"]
    assert found["recall"].of(np.array([1.0, 1.0]), np.array([0.3, 0.2])) == 0.5


@pytest.mark.parametrize(
    ("task", "name", "sentence"),
    [
        (
            "regression",
            "auc",
            ("auc is no metric of regression; for regression there is: rmse, mae, bias, r2"),
        ),
        (
            "regression",
            "recall",
            ("recall is no metric of regression; for regression there is: rmse, mae, bias, r2"),
        ),
        ("regression", "acc", "There is no metric 'acc'; for regression there is: rmse, mae, bias, r2"),
        ("classification", "recall", "recall needs a threshold; found none. Choose one on rows of training"),
    ],
)
def test_metrics_that_do_not_fit_are_refused(task: Any, name: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=r".") as refusal:
        metrics_for(task, [name])
    assert str(refusal.value) == sentence


def test_the_threshold_of_the_best_f1() -> None:
    label, predicted = np.array([0.0, 0, 1, 0, 1]), np.array([0.1, 0.2, 0.4, 0.6, 0.8])
    # 2 of 2 found with 1 false alarm: 4/5. At 0.8, 1 of 2 without any: 2/3.
    assert choose_threshold(label, predicted) == 0.4


def test_of_equally_good_thresholds_the_lower_is_chosen() -> None:
    # 2·1/(1+0+2) at 0.9, 2·2/(4+2) at 0.3: both 2/3.
    label, predicted = np.array([1.0, 0, 0, 1]), np.array([0.9, 0.5, 0.4, 0.3])
    assert choose_threshold(label, predicted) == 0.3
    with pytest.raises(ValueError, match=r"^A threshold needs both classes; found 2 positives, 0 negatives$"):
        choose_threshold(np.ones(2), np.ones(2))


@_BRIEF
@given(weighted())
def test_no_threshold_has_a_better_f1(data: tuple[Any, Any, Any]) -> None:
    label, predicted = rows_of(METRICS["auc"], *data[:2])

    def f1(threshold: float) -> float:
        called = predicted >= threshold
        return float(2 * label[called].sum() / (called.sum() + label.sum()))

    chosen = choose_threshold(label, predicted)
    assert f1(chosen) == pytest.approx(max(f1(t) for t in predicted))
