"""Leakage: a feature that orders the rows as the label does was probably not known beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import spearmanr

from evidence.metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from evidence.metrics import Task
    from evidence.statistic import Floats

    Column = npt.NDArray[np.generic]

# With fewer rows to a category, its mean label says more of the rows than of the category.
_ROWS_TO_A_CATEGORY = 10
_LEAST_ROWS = 100


def associations(task: Task, label: Floats, columns: Mapping[str, Column]) -> dict[str, float]:
    """Say by column, each (rows,), how well it alone orders the rows as the label does, from 0 to 1.

    That is |2 AUC - 1| for classes and |Spearman's rank correlation| for numbers; a category counts as its
    mean label. Missing values are left out. A column that nothing can be said of is left out, too.
    """
    found = {}
    for name, column in columns.items():
        value = _association(task, label, column)
        if value is not None:
            found[name] = value
    return found


def _association(task: Task, label: Floats, column: Column) -> float | None:
    known = _known(column)
    label, column = label[known], column[known]
    if len(label) < _LEAST_ROWS or label.min() == label.max():
        return None
    if column.dtype.kind not in "fiub":
        _, place, count = np.unique(column.astype(str), return_inverse=True, return_counts=True)
        if len(count) * _ROWS_TO_A_CATEGORY > len(column):
            return None
        column = (np.bincount(place, label) / count)[place]
    numbers = column.astype(np.float64)
    if numbers.min() == numbers.max():
        return None
    if task == "classification":
        return abs(2 * METRICS["auc"].of(label, numbers) - 1)
    return abs(float(spearmanr(label, numbers).statistic))


def _known(column: Column) -> npt.NDArray[np.bool_]:
    if column.dtype.kind in "fiub":
        return np.isfinite(column.astype(np.float64))
    return np.array([value is not None for value in column], np.bool_)
