"""Contributions: how far each feature moved predictions, as XGBoost's own TreeSHAP has it.

Source: Lundberg et al., "From local explanations to global understanding with explainable AI for trees",
Nature Machine Intelligence 2 (2020).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import xgboost as xgb

from projects.plots import new_figure
from registry import Scorer, encode

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa
    from matplotlib.figure import Figure

    Floats = npt.NDArray[np.float64]

_ROWS, _FEATURES, _BINS = 1000, 12, 60


def draw_contributions(scorer: Scorer, rows: pa.Table) -> Figure:
    """Plot a point for each row and feature: how far it moved the prediction, coloured by its value.

    The features that moved most are on top; a category has no order, so its colour is that of its place in
    the alphabet, and a missing value is grey.
    """
    # From all of the days, not from the first.
    some = rows.take(np.unique(np.linspace(0, len(rows) - 1, _ROWS).astype(int)))
    names = [column.name for column in scorer.columns]
    values = encode(some, scorer.columns)
    kinds = ["c" if column.categories is not None else "q" for column in scorer.columns]
    matrix = xgb.DMatrix(values, feature_names=names, feature_types=kinds, enable_categorical=True)
    # The last column is what all rows have in common.
    moved = scorer.booster.predict(matrix, pred_contribs=True)[:, :-1]
    shown = np.argsort(np.abs(moved).mean(axis=0))[-_FEATURES:]
    figure, axes = new_figure("What moved predictions", "contribution to the margin", "")
    colours = mpl.colormaps["coolwarm"].with_extremes(bad="#718096")
    for place, feature in enumerate(shown):
        x = moved[:, feature]
        points = axes.scatter(
            x,
            place + _spread(x),
            c=_ranks(values[:, feature]),
            cmap=colours,
            s=6,
            vmin=0,
            vmax=1,
            plotnonfinite=True,
        )
    axes.set_yticks(range(len(shown)), [names[feature] for feature in shown])
    axes.axvline(0, color="#a0aec0", linewidth=1)
    bar = figure.colorbar(points, ax=axes, ticks=[0, 1])
    bar.ax.set_yticklabels(["low", "high"])
    bar.set_label("value of the feature (grey: missing)")
    return figure


def _spread(x: Floats) -> Floats:
    """Place points of about the same contribution beside each other, so that a crowd looks like one."""
    edges = np.linspace(x.min(), x.max() + 1e-9, _BINS)
    bins = np.digitize(x, edges)
    nth = np.zeros(len(x))
    counts = np.zeros(_BINS + 1)
    for row, each in enumerate(bins):
        nth[row] = counts[each]
        counts[each] += 1
    side = np.where(nth % 2, 1, -1) * np.ceil(nth / 2)
    return np.asarray(side / max(1.0, np.abs(side).max()) * 0.4, np.float64)


def _ranks(values: npt.NDArray[np.float32]) -> Floats:
    """Return the rank of each value among those that are known, from 0 to 1; NaN stays NaN."""
    known = np.flatnonzero(~np.isnan(values))
    ranks = np.full(len(values), np.nan)
    ranks[known] = np.argsort(np.argsort(values[known])) / max(1, len(known) - 1)
    return ranks
