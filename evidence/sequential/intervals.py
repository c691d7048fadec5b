"""The one way to a confidence sequence: by betting where the range of values is known, else asymptotic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evidence.sequential import asymptotic, betting

if TYPE_CHECKING:
    from evidence.sequential.moments import Moments
    from evidence.statistic import Floats


@dataclass(frozen=True)
class Interval:
    """The ends at each look, of the shape of the moments; infinite where nothing is known yet."""

    low: Floats
    high: Floats


def sequence(
    moments: Moments,
    alpha: float = 0.05,
    largest: float | None = None,
    least_variance: Floats | float = 0.0,
) -> Interval:
    """Return an interval for the mean at each look; all of them hold together in 1 - alpha of cases.

    `largest` bounds the values on both sides; None: they have no known bounds, and `least_variance` is what
    their variance is at least, whatever they seem. Raises `ValueError` for an
    `alpha` or a `largest` that cannot be.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is {alpha}, expected a number between 0 and 1, as 0.05")
    if largest is None:
        return Interval(*asymptotic.bounds(moments, alpha, least_variance))
    if not 0 < largest < np.inf:
        raise ValueError(f"the largest possible value is {largest}, expected a number above 0")
    low, high = betting.bounds(moments.divided(largest), alpha)
    return Interval(low * largest, high * largest)
