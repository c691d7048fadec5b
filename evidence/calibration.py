"""Whether predicted probabilities come true: the calibration error, and the curve behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from evidence.statistic import Floats, Ints, Replay


@dataclass(frozen=True)
class CalibrationCurve:
    """Per bin of equal row counts: mean prediction, share of positives, rows. All (bins,)."""

    predicted: Floats
    observed: Floats
    rows: npt.NDArray[np.int64]


def calibration_curve(label: Floats, predicted: Floats, bins: int = 10) -> CalibrationCurve:
    """Compare predicted with observed shares in bins of equal row counts."""
    groups = [g for g in np.array_split(np.argsort(predicted, kind="stable"), bins) if len(g)]
    return CalibrationCurve(
        predicted=np.array([predicted[g].mean() for g in groups]),
        observed=np.array([label[g].mean() for g in groups]),
        rows=np.array([len(g) for g in groups]),
    )


@dataclass(frozen=True)
class CalibrationError:
    """Expected calibration error on bins of equal row counts: the mean of |predicted - observed| share.

    Naeini, Cooper and Hauskrecht (2015) for the error; Nixon et al. (2019) and Roelofs et al. (2022) for
    bins of equal counts, which are less biased than bins of equal width. It stays biased upwards: chance
    alone makes a perfectly calibrated model differ from what it said, the more the fewer the rows.

    A bin may end within a row or among equal predictions, which are then shared out evenly, labels and
    all. So neither the order of rows nor their number modulo `bins` plays a part.
    """

    bins: int = 10

    def of(self, label: Floats, predicted: Floats, weight: Floats) -> float:
        """Compute it on weighted rows; NaN where there are none."""
        return float(self._replay_rows(label, predicted)(weight))

    def replay(self, label: Floats, predicted: Floats, block: Ints, blocks: int) -> Replay:  # noqa: ARG002
        """Sort once; each resample is then a few cumulated sums over the rows."""
        replay_rows = self._replay_rows(label, predicted)
        return lambda counts: np.array([replay_rows(count[block]) for count in counts])

    def _replay_rows(self, label: Floats, predicted: Floats) -> _RowReplay:
        order = np.argsort(predicted, kind="stable")
        return _RowReplay(
            order,
            ends=np.flatnonzero(np.diff(predicted[order], append=np.nan)),
            label=label[order],
            predicted=predicted[order],
            bins=self.bins,
        )


@dataclass(frozen=True)
class _RowReplay:
    """Rows by rising prediction; `ends` are the last rows of each run of equal predictions."""

    order: Ints
    ends: Ints
    label: Floats
    predicted: Floats
    bins: int

    def __call__(self, weight: Floats) -> float:
        weight = weight[self.order]
        rows = self._cumulated(weight)
        if not rows[-1] > 0:
            return float("nan")
        excess = self._cumulated(weight * (self.predicted - self.label))
        edges = np.linspace(0, rows[-1], self.bins + 1)
        return float(np.abs(np.diff(np.interp(edges, rows, excess))).sum() / rows[-1])

    def _cumulated(self, values: Floats) -> Floats:
        return np.concatenate([[0.0], np.cumsum(values)[self.ends]])
