"""Curves of binary classification, on labels (0 or 1) and predicted probabilities, both (rows,)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from evidence.statistic import Floats


@dataclass(frozen=True)
class Curve:
    """Points of a curve, both (points,)."""

    x: Floats
    y: Floats


def roc_curve(label: Floats, predicted: Floats) -> Curve:
    """Return the false positive rate against the true positive rate, from (0, 0) to (1, 1).

    Raises `ValueError` where only one class is present.
    """
    refuse_one_class(label, "A ROC curve")
    _, true_positives, false_positives = cumulated(label, predicted)
    return Curve(false_positives / false_positives[-1], true_positives / true_positives[-1])


def precision_recall_curve(label: Floats, predicted: Floats) -> Curve:
    """Return recall against precision, by falling threshold.

    Raises `ValueError` where only one class is present.
    """
    refuse_one_class(label, "A curve of precision and recall")
    _, true_positives, false_positives = cumulated(label, predicted)
    found = (true_positives + false_positives)[1:]
    return Curve(true_positives[1:] / true_positives[-1], true_positives[1:] / found)


def refuse_one_class(label: Floats, what: str) -> None:
    """Raise `ValueError` unless there are positives and negatives."""
    positives = int(label.sum())
    negatives = len(label) - positives
    if positives == 0 or negatives == 0:
        raise ValueError(f"{what} needs both classes; found {positives} positives, {negatives} negatives")


def cumulated(label: Floats, predicted: Floats) -> tuple[Floats, Floats, Floats]:
    """Return each threshold, falling, with the true and the false positives at or above it.

    The thresholds are (levels,); the counts are (levels + 1,), for they begin with 0 at no row.
    """
    order = np.argsort(-predicted, kind="stable")
    sorted_label = label[order]
    # Equal predictions are one threshold: keep the last point of each run.
    ends = np.flatnonzero(np.diff(predicted[order], append=np.nan))
    true_positives = np.cumsum(sorted_label)[ends]
    false_positives = np.cumsum(1 - sorted_label)[ends]
    return (
        predicted[order][ends],
        np.concatenate([[0.0], true_positives]),
        np.concatenate([[0.0], false_positives]),
    )
