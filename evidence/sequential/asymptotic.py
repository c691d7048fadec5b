"""A confidence sequence for the mean of values without known bounds; it holds the better, the more there are.

Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and asymptotic confidence
sequences", Annals of Statistics 2024 (2021 on arXiv), Theorem 2.2: as the central limit theorem gives
intervals for one look, so Robbins' mixture of normal deviations gives a sequence for all looks. Robbins'
mixture has one parameter, the number of values at which the sequence is at its tightest. Here several are
mixed, evenly, so that none need be chosen and none can be chosen after the fact: at their numbers it is a
tenth wider than the best, and nowhere far from it.

What is known of the spread is a matter of its own. A small arm of slow requests has not seen its slowest yet,
and looks less spread than it is just where it looks better; `spread_of_larger` is why that is not believed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from evidence.sequential.moments import Moments
    from evidence.statistic import Floats

# Of fewer values nobody knows how heavy their tails are; chosen by simulation (`make bench-verdicts`).
LEAST = 100

_TIGHTEST_AT = np.geomspace(300, 3_000_000, 5)
_HALVINGS = 60


def bounds(moments: Moments, alpha: float, least_variance: Floats | float = 0.0) -> tuple[Floats, Floats]:
    """Return the ends of the sequence; without end for fewer than `LEAST` values, and where all are equal.

    Values that are all equal say nothing of how far others may be from them. The variance of the values is
    taken to be at least `least_variance`.
    """
    known = (moments.count >= LEAST) & (moments.second > 0)
    variance = np.maximum(moments.second, least_variance) / np.maximum(moments.count - 1, 1)
    variance = np.maximum(variance, 0)
    radius = np.where(known, np.sqrt(variance) * _deviations(moments.count, alpha), np.inf)
    return moments.mean - radius, moments.mean + radius


def _deviations(count: Floats, alpha: float) -> Floats:
    """Return how many standard errors the mean of `count` values may be off, at any of all looks."""
    # The parameter that is about the best at each of the numbers, by their approximation.
    goal = -2 * np.log(alpha)
    t = count[..., None] * ((goal + np.log(goal + 1)) / _TIGHTEST_AT)
    shrunk, spread = t / (1 + t), np.log1p(t) / 2
    low, high = (
        np.zeros(count.shape),
        np.min((goal + 2 * np.log(len(_TIGHTEST_AT)) + 2 * spread) / shrunk, axis=-1),
    )
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        parts = middle[..., None] / 2 * shrunk - spread
        refused = np.logaddexp.reduce(parts, axis=-1) - np.log(len(_TIGHTEST_AT)) >= -np.log(alpha)
        low, high = np.where(refused, low, middle), np.where(refused, middle, high)
    return np.asarray(np.sqrt(high))
