"""What confidence sequences need of the values: how many, and their first four moments."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from evidence.statistic import Floats, Ints

_POWERS = 4


@dataclass(frozen=True)
class Moments:
    """Count, mean, and the averages of (value - mean)², ³ and ⁴; arrays of one shape, () for one look.

    The order of the values plays no part.
    """

    count: Floats
    mean: Floats
    second: Floats
    third: Floats
    fourth: Floats

    @classmethod
    def of(cls, values: Floats, looks: Ints | None = None) -> Moments:
        """Summarise values, (…, rows), at least one: all of them, (…), or the first `looks`, (…, looks)."""
        # About a value in their midst, so that nothing cancels where all are far from 0.
        near = values.mean(axis=-1, keepdims=True)
        centred = values - near
        powers = list(accumulate([centred] * _POWERS, np.multiply))
        if looks is None:
            count, start = np.asarray(values.shape[-1], np.float64), near[..., 0]
            averages = [power.mean(axis=-1) for power in powers]
        else:
            count, start = looks.astype(np.float64), near
            averages = [np.cumsum(power, axis=-1)[..., looks - 1] / count for power in powers]
        u = averages[0]
        central = _about(-u, u, *averages[1:])
        return cls(np.broadcast_to(count, u.shape), start + u, *central)

    def times(self, factor: Floats) -> Moments:
        """Return what `factor` times as many values like these would give; one look for each factor."""
        count = self.count * factor
        same = (
            np.broadcast_to(part, count.shape) for part in (self.mean, self.second, self.third, self.fourth)
        )
        return Moments(count, *same)

    def divided(self, unit: float) -> Moments:
        """Return the moments of the values in another unit."""
        second, third, fourth = self.second / unit**2, self.third / unit**3, self.fourth / unit**4
        return Moments(self.count, self.mean / unit, second, third, fourth)

    def about(self, point: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Return the averages of (value - point) to the powers 1 to 4."""
        u = self.mean - point
        return u, *_about(u, np.zeros_like(u), self.second, self.third, self.fourth)


def _about(
    u: Floats, first: Floats, second: Floats, third: Floats, fourth: Floats
) -> tuple[Floats, Floats, Floats]:
    """Shift moments by u: the averages of (x + u)², ³, ⁴ from those of x, x², x³, x⁴."""
    return (
        second + 2 * u * first + u**2,
        third + 3 * u * second + 3 * u**2 * first + u**3,
        fourth + 4 * u * third + 6 * u**2 * second + 4 * u**3 * first + u**4,
    )
