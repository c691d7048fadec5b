"""The area under the ROC curve, as a share of pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from evidence.statistic import Floats, Ints, Replay


@dataclass(frozen=True)
class Auc:
    """The share of (positive, negative) pairs ranked right, ties half (Mann and Whitney, 1947)."""

    def of(self, label: Floats, predicted: Floats, weight: Floats) -> float:
        """Compute it on weighted rows; NaN where only one class is present."""
        _, level = np.unique(predicted, return_inverse=True)
        positives = np.bincount(level, weight * label)
        negatives = np.bincount(level, weight * (1 - label)).astype(np.float64)
        pairs = positives.sum() * negatives.sum()
        return float(positives @ _below(negatives) / pairs) if pairs > 0 else float("nan")

    def replay(self, label: Floats, predicted: Floats, block: Ints, blocks: int) -> Replay:
        """Count the right pairs of each block's positives with each block's negatives, once.

        A resample that draws blocks c times has c·right·c right pairs: its rows are not looked at again.
        """
        levels, level = np.unique(predicted, return_inverse=True)
        positive = label > 0
        negative_levels = _grouped(level[~positive], block[~positive], blocks)
        right = np.empty((blocks, blocks))
        for number, found in enumerate(negative_levels):
            below = _below(np.bincount(found, minlength=len(levels)).astype(np.float64))
            right[:, number] = np.bincount(block[positive], below[level[positive]], blocks)
        positives = np.bincount(block[positive], minlength=blocks)
        negatives = np.bincount(block[~positive], minlength=blocks)

        def replay(counts: Floats) -> Floats:
            pairs = (counts @ positives) * (counts @ negatives)
            with np.errstate(invalid="ignore"):
                return np.asarray(((counts @ right) * counts).sum(axis=1) / pairs, np.float64)

        return replay


def _below(negatives: Floats) -> Floats:
    """Per level of prediction: the negatives below it, and half of those on it."""
    return np.cumsum(negatives) - negatives / 2


def _grouped(level: Ints, block: Ints, blocks: int) -> list[Ints]:
    order = np.argsort(block, kind="stable")
    return np.split(level[order], np.searchsorted(block[order], np.arange(1, blocks)))
