"""Statistics of binary classification, on labels (0 or 1) and predicted probabilities, both (rows,)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evidence.calibration import CalibrationError
from evidence.curves import cumulated, refuse_one_class
from evidence.ranking import Auc
from evidence.statistic import Sums

if TYPE_CHECKING:
    from evidence.statistic import Floats

# Probabilities of exactly 0 or 1 would make the log loss of one mistake infinite.
_EPSILON = 1e-7


def negative_log_likelihood(label: Floats, predicted: Floats) -> Floats:
    """Return each row's, in nats."""
    p = np.clip(predicted, _EPSILON, 1 - _EPSILON)
    return -(label * np.log(p) + (1 - label) * np.log1p(-p))


# The share of (positive, negative) pairs ranked right, ties half.
auc = Auc()

# Mean negative log likelihood, in nats.
log_loss = Sums(
    lambda label, predicted: (negative_log_likelihood(label, predicted), np.ones_like(label)), np.divide
)

# Mean squared difference between probability and outcome (Brier, 1950).
brier = Sums(lambda label, predicted: ((predicted - label) ** 2, np.ones_like(label)), np.divide)

# Expected calibration error, on ten bins of equal row counts.
calibration_error = CalibrationError()


def precision(threshold: float) -> Sums:
    """Return the share of positives among the rows predicted at or above a threshold."""

    def terms(label: Floats, predicted: Floats) -> tuple[Floats, ...]:
        called = (predicted >= threshold).astype(np.float64)
        return label * called, called

    return Sums(terms, np.divide)


def recall(threshold: float) -> Sums:
    """Return the share of positives that are predicted at or above a threshold."""
    return Sums(lambda label, predicted: (label * (predicted >= threshold), label), np.divide)


def choose_threshold(label: Floats, predicted: Floats) -> float:
    """Return the threshold of the best F1, on rows of training; the lowest of those equally good.

    Never choose it on the rows it is judged on: precision and recall would flatter the candidate. Raises
    `ValueError` where only one class is present.
    """
    refuse_one_class(label, "A threshold")
    thresholds, true_positives, false_positives = cumulated(label, predicted)
    # F1 = 2TP / (TP + FP + positives), in which "as good" must not turn on the last bit.
    f1 = np.round(2 * true_positives / (true_positives + false_positives + true_positives[-1]), 12)[1:]
    return float(thresholds[f1 == f1.max()].min())
