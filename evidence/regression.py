"""Statistics of regression, on labels and predictions in the label's unit, both (rows,)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evidence.statistic import Sums

if TYPE_CHECKING:
    from evidence.statistic import Floats

# Below this share of the squares, what is left of the label's variance is rounding.
_ROUNDING = 1e-12


def _squared_error(label: Floats, predicted: Floats) -> tuple[Floats, ...]:
    return (predicted - label) ** 2, np.ones_like(label)


def _root_of_mean(squares: Floats, rows: Floats) -> Floats:
    return np.sqrt(squares / rows)


def _explained(label: Floats, predicted: Floats) -> tuple[Floats, ...]:
    # R² does not change when labels are shifted; around 0 their squares lose fewest digits.
    around = label - (label.min() + label.max()) / 2 if len(label) else label
    return (predicted - label) ** 2, around, around**2, np.ones_like(label)


def _share_explained(errors: Floats, labels: Floats, squares: Floats, rows: Floats) -> Floats:
    spread = squares - labels**2 / rows
    return np.where(spread > _ROUNDING * squares, 1 - errors / spread, np.nan)


# Root of the mean squared error, in the label's unit.
rmse = Sums(_squared_error, _root_of_mean)

# Mean absolute error, in the label's unit.
mae = Sums(lambda label, predicted: (np.abs(predicted - label), np.ones_like(label)), np.divide)

# Mean of predicted - label, in the label's unit: above 0 is too high.
bias = Sums(lambda label, predicted: (predicted - label, np.ones_like(label)), np.divide)

# 1 - squared error / squared distance from the labels' mean: 0 is as good as saying that mean.
r2 = Sums(_explained, _share_explained)
