"""What versions are compared by on live traffic: one value for each outcome, whose mean is the metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evidence.classification import negative_log_likelihood

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from evidence.statistic import Floats


@dataclass(frozen=True)
class LiveMetric:
    """A named mean over outcomes. `bounds` are the least and the most that one value can be, where known.

    `of` makes the values, (rows,), from labels and predictions; None where they are measured as they are.
    """

    name: str
    higher_is_better: bool
    bounds: tuple[float, float] | None = None
    unit: str = ""
    of: Callable[[Floats, Floats], Floats] | None = None


def _squared(label: Floats, predicted: Floats) -> Floats:
    return (predicted - label) ** 2


LIVE_METRICS = {
    metric.name: metric
    for metric in (
        LiveMetric("brier", higher_is_better=False, bounds=(0, 1), of=_squared),
        LiveMetric("log_loss", higher_is_better=False, of=negative_log_likelihood),
        LiveMetric("squared_error", higher_is_better=False, of=_squared),
        LiveMetric("absolute_error", higher_is_better=False, of=lambda y, predicted: np.abs(predicted - y)),
        LiveMetric("reward", higher_is_better=True),
        LiveMetric("error_rate", higher_is_better=False, bounds=(0, 1)),
        LiveMetric("latency_ms", higher_is_better=False, unit=" ms"),
    )
}


def mean_by_unit(units: npt.NDArray[np.generic], values: Floats) -> Floats:
    """Return the mean of each unit's values, in the order in which units first appear; both (rows,).

    Where all requests of an entity go to one arm, they are alike, and the entity is what was drawn at random:
    it counts once. Values that are no finite numbers are left out; a unit without any other is NaN.
    """
    _, first, unit = np.unique(units, return_index=True, return_inverse=True)
    there = np.isfinite(values)
    sums = np.bincount(unit[there], values[there], len(first))
    counts = np.bincount(unit[there], minlength=len(first))
    means = np.divide(sums, counts, out=np.full(len(first), np.nan), where=counts > 0)
    return np.asarray(means[np.argsort(first)])
