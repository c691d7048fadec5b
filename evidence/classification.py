"""Metrics of binary classification, on labels (0 or 1) and predicted probabilities, both (rows,)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

# Probabilities of exactly 0 or 1 would make the log loss of one mistake infinite.
_EPSILON = 1e-7


@dataclass(frozen=True)
class Metric:
    """A named measure and the direction in which it is better."""

    name: str
    of: Callable[[Floats, Floats], float]
    higher_is_better: bool


@dataclass(frozen=True)
class Curve:
    """Points of a curve, both (points,)."""

    x: Floats
    y: Floats


@dataclass(frozen=True)
class CalibrationCurve:
    """Per bin of equal row counts: mean prediction, share of positives, rows. All (bins,)."""

    predicted: Floats
    observed: Floats
    rows: npt.NDArray[np.int64]


def auc(label: Floats, predicted: Floats) -> float:
    """Area under the ROC curve: the share of (positive, negative) pairs ranked right, ties half.

    Computed from ranks (Mann-Whitney). Raises `ValueError` where only one class is present.
    """
    positives, negatives = _both_classes(label, "AUC")
    _, position, count = np.unique(predicted, return_inverse=True, return_counts=True)
    last_rank = np.cumsum(count)
    mean_rank = (last_rank - (count - 1) / 2)[position]
    rank_sum = float(mean_rank[label > 0].sum())
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def log_loss(label: Floats, predicted: Floats) -> float:
    """Mean negative log likelihood, in nats."""
    p = np.clip(predicted, _EPSILON, 1 - _EPSILON)
    return float(-np.mean(label * np.log(p) + (1 - label) * np.log1p(-p)))


def brier(label: Floats, predicted: Floats) -> float:
    """Mean squared difference between probability and outcome (Brier, 1950)."""
    return float(np.mean((predicted - label) ** 2))


METRICS = {
    metric.name: metric
    for metric in (
        Metric("auc", auc, higher_is_better=True),
        Metric("log_loss", log_loss, higher_is_better=False),
        Metric("brier", brier, higher_is_better=False),
    )
}


def roc_curve(label: Floats, predicted: Floats) -> Curve:
    """Return the false positive rate against the true positive rate, from (0, 0) to (1, 1).

    Raises `ValueError` where only one class is present.
    """
    _both_classes(label, "A ROC curve")
    true_positives, false_positives = _cumulated(label, predicted)
    return Curve(false_positives / false_positives[-1], true_positives / true_positives[-1])


def precision_recall_curve(label: Floats, predicted: Floats) -> Curve:
    """Return recall against precision, by falling threshold.

    Raises `ValueError` where only one class is present.
    """
    _both_classes(label, "A curve of precision and recall")
    true_positives, false_positives = _cumulated(label, predicted)
    found = (true_positives + false_positives)[1:]
    return Curve(true_positives[1:] / true_positives[-1], true_positives[1:] / found)


def calibration_curve(label: Floats, predicted: Floats, bins: int = 10) -> CalibrationCurve:
    """Compare predicted with observed shares in bins of equal row counts."""
    groups = [g for g in np.array_split(np.argsort(predicted, kind="stable"), bins) if len(g)]
    return CalibrationCurve(
        predicted=np.array([predicted[g].mean() for g in groups]),
        observed=np.array([label[g].mean() for g in groups]),
        rows=np.array([len(g) for g in groups]),
    )


def _both_classes(label: Floats, what: str) -> tuple[int, int]:
    positives = int(label.sum())
    negatives = len(label) - positives
    if positives == 0 or negatives == 0:
        raise ValueError(f"{what} needs both classes; found {positives} positives, {negatives} negatives")
    return positives, negatives


def _cumulated(label: Floats, predicted: Floats) -> tuple[Floats, Floats]:
    order = np.argsort(-predicted, kind="stable")
    sorted_label = label[order]
    # Equal predictions are one threshold: keep the last point of each run.
    ends = np.flatnonzero(np.diff(predicted[order], append=np.nan))
    true_positives = np.cumsum(sorted_label)[ends]
    false_positives = np.cumsum(1 - sorted_label)[ends]
    return np.concatenate([[0.0], true_positives]), np.concatenate([[0.0], false_positives])
