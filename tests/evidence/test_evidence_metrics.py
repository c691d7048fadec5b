"""Metrics and curves, held against scikit-learn on generated data with many ties."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn

from evidence import METRICS, calibration_curve, precision_recall_curve, roc_curve

# Few levels make ties; the rest is what a booster answers: float32, as float64.
_SCORES = st.one_of(
    st.sampled_from([0.1, 0.25, 0.5, 0.9]),
    st.floats(1e-6, 1 - 1e-6, width=64),
    st.floats(0.0625, 0.9375, width=32),
)


@st.composite
def labelled_scores(draw: st.DrawFn) -> tuple[Any, Any]:
    """Labels of both classes and as many scores, in any order."""
    rows = draw(st.lists(st.tuples(st.sampled_from([0.0, 1.0]), _SCORES), max_size=60))
    rows += [(0.0, draw(_SCORES)), (1.0, draw(_SCORES))]
    label, score = zip(*draw(st.permutations(rows)), strict=True)
    return np.array(label), np.array(score)


def no_skill(rows: int, seed: int) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    return random.integers(0, 2, rows).astype(np.float64), random.random(rows)


@given(labelled_scores())
def test_auc_equals_scikit_learns(data: tuple[Any, Any]) -> None:
    assert METRICS["auc"].of(*data) == pytest.approx(sklearn.roc_auc_score(*data), abs=1e-12)


@given(labelled_scores())
def test_auc_does_not_depend_on_order_and_mirrors(data: tuple[Any, Any]) -> None:
    label, score = data
    auc = METRICS["auc"].of(label, score)
    assert METRICS["auc"].of(label[::-1], score[::-1]) == auc
    assert METRICS["auc"].of(label, -score) == pytest.approx(1 - auc, abs=1e-12)


@given(labelled_scores())
def test_log_loss_equals_scikit_learns(data: tuple[Any, Any]) -> None:
    assert METRICS["log_loss"].of(*data) == pytest.approx(sklearn.log_loss(*data), rel=1e-9)


@given(labelled_scores())
def test_brier_equals_scikit_learns(data: tuple[Any, Any]) -> None:
    assert METRICS["brier"].of(*data) == pytest.approx(sklearn.brier_score_loss(*data), abs=1e-12)


def test_metrics_equal_scikit_learns_on_many_rows() -> None:
    label, score = no_skill(100_000, seed=1)
    score = np.round(score, 2).clip(0.01, 0.99)
    assert METRICS["auc"].of(label, score) == pytest.approx(sklearn.roc_auc_score(label, score), abs=1e-12)
    assert METRICS["log_loss"].of(label, score) == pytest.approx(sklearn.log_loss(label, score), rel=1e-9)


def test_one_sure_mistake_does_not_make_the_log_loss_infinite() -> None:
    loss = METRICS["log_loss"].of(np.array([0.0, 1.0]), np.array([1.0, 0.0]))
    assert loss == pytest.approx(-np.log(1e-7))


def test_metrics_say_in_which_direction_they_are_better() -> None:
    assert {m.name: m.higher_is_better for m in METRICS.values()} == {
        "auc": True,
        "log_loss": False,
        "brier": False,
        "calibration_error": False,
        "rmse": False,
        "mae": False,
        "bias": None,
        "r2": True,
    }
    label, better, worse = np.array([0.0, 1.0]), np.array([0.2, 0.8]), np.array([0.7, 0.3])
    for metric in METRICS.values():
        if metric.higher_is_better is None:
            continue
        gain = metric.of(label, better) - metric.of(label, worse)
        assert (gain > 0) == metric.higher_is_better


@pytest.mark.parametrize(
    ("of", "what"),
    [
        (METRICS["auc"].of, "auc"),
        (roc_curve, "A ROC curve"),
        (precision_recall_curve, "A curve of precision and recall"),
    ],
)
@pytest.mark.parametrize(
    ("label", "found"),
    [
        ([1.0, 1.0], "2 positives, 0 negatives"),
        ([0.0], "0 positives, 1 negatives"),
        ([], "0 positives, 0 negatives"),
    ],
)
def test_one_class_is_refused(
    of: Callable[[Any, Any], Any], what: str, label: list[float], found: str
) -> None:
    with pytest.raises(ValueError, match=f"^{what} needs both classes; found {found}$"):
        of(np.array(label), np.full(len(label), 0.5))


@given(labelled_scores())
def test_the_roc_curve_equals_scikit_learns(data: tuple[Any, Any]) -> None:
    curve = roc_curve(*data)
    false_positive_rate, true_positive_rate, _ = sklearn.roc_curve(*data, drop_intermediate=False)
    np.testing.assert_allclose(curve.x, false_positive_rate)
    np.testing.assert_allclose(curve.y, true_positive_rate)
    assert (curve.x[0], curve.y[0], curve.x[-1], curve.y[-1]) == (0, 0, 1, 1)


@given(labelled_scores())
def test_the_area_below_the_roc_curve_is_the_auc(data: tuple[Any, Any]) -> None:
    curve = roc_curve(*data)
    area = np.trapezoid(curve.y, curve.x)
    assert area == pytest.approx(METRICS["auc"].of(*data), abs=1e-12)


@given(labelled_scores())
def test_the_precision_recall_curve_equals_scikit_learns(data: tuple[Any, Any]) -> None:
    curve = precision_recall_curve(*data)
    precision, recall, _ = sklearn.precision_recall_curve(*data)
    # Theirs runs by rising threshold, and appends a point (0, 1) that no threshold has.
    np.testing.assert_allclose(curve.x, recall[:-1][::-1])
    np.testing.assert_allclose(curve.y, precision[:-1][::-1])


@given(labelled_scores(), st.integers(1, 20))
def test_calibration_bins_hold_every_row_once(data: tuple[Any, Any], bins: int) -> None:
    label, score = data
    curve = calibration_curve(label, score, bins)
    assert len(curve.rows) == min(bins, len(label))
    assert curve.rows.sum() == len(label)
    assert curve.rows.max() - curve.rows.min() <= 1
    assert np.all(np.diff(curve.predicted) >= -1e-15)
    assert (curve.predicted * curve.rows).sum() == pytest.approx(score.sum())
    assert (curve.observed * curve.rows).sum() == pytest.approx(label.sum())


def test_calibration_of_four_rows_in_two_bins() -> None:
    curve = calibration_curve(np.array([1.0, 0.0, 1.0, 0.0]), np.array([0.9, 0.1, 0.7, 0.3]), bins=2)
    assert curve.predicted == pytest.approx([0.2, 0.8])
    assert curve.observed == pytest.approx([0.0, 1.0])
    assert curve.rows.tolist() == [2, 2]


def test_calibration_equals_scikit_learns_quantile_bins() -> None:
    label, score = no_skill(1_000, seed=2)
    curve = calibration_curve(label, score, bins=10)
    from sklearn.calibration import calibration_curve as theirs

    observed, predicted = theirs(label, score, n_bins=10, strategy="quantile")
    assert curve.predicted == pytest.approx(predicted)
    assert curve.observed == pytest.approx(observed)
