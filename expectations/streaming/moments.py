"""Moments: how many numbers, their sum, their spread and their ends, and how those of two parts add up."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

# Two halves of 32 bits: neither their sum nor the sums of many batches overflow.
_HALF = 32


@dataclass(frozen=True, slots=True)
class Moments:
    """What is known of some numbers; none of them is NaN.

    `count`, `total` and `squares` (the squared distances from the mean, added up) are of finite numbers.
    The total of whole numbers is exact. `low` and `high` are of all numbers, None where there are none;
    `above` and `below` count the positive and the negative infinities.
    """

    count: int = 0
    total: float = 0
    squares: float = 0.0
    low: float | None = None
    high: float | None = None
    above: int = 0
    below: int = 0

    @classmethod
    def of(cls, numbers: npt.NDArray[Any]) -> Moments:
        """Measure an array of integers or doubles without NaN."""
        if not len(numbers):
            return cls()
        # Plus zero: -0.0 and 0.0 are one end, whichever comes first.
        low, high = (end.item() + 0 for end in (numbers.min(), numbers.max()))
        if not math.isfinite(low) or not math.isfinite(high):
            finite = numbers[np.isfinite(numbers)]
            above, below = int((numbers == np.inf).sum()), int((numbers == -np.inf).sum())
        else:
            finite, above, below = numbers, 0, 0
        with np.errstate(over="ignore", invalid="ignore"):
            total = _total(finite)
            distances = finite - float(total) / max(len(finite), 1)
            squares = float(np.dot(distances, distances))
        return cls(len(finite), total, squares, low, high, above, below)

    @property
    def mean(self) -> float | None:
        """The mean, infinite or None (undefined) as IEEE 754 has it."""
        total = self.sum
        if total is None or not math.isfinite(total):
            return total
        return total / self.count if self.count else None

    @property
    def sum(self) -> float | None:
        """The sum; None where it is undefined."""
        if self.above and self.below:
            return None
        if self.above or self.below:
            return math.inf if self.above else -math.inf
        return None if math.isnan(self.total) else self.total

    @property
    def stdev(self) -> float | None:
        """The sample standard deviation; None for less than two numbers, or where one is infinite."""
        if self.count < 2 or self.above or self.below or math.isnan(self.squares):  # noqa: PLR2004  # n - 1
            return None
        return math.sqrt(self.squares / (self.count - 1))

    def merge(self, other: Moments) -> Moments:
        """Add up two parts.

        The squares by the pairwise formula of Chan, Golub and LeVeque, "Updating Formulae and a Pairwise
        Algorithm for Computing Sample Variances" (1979), equation 2.1b.
        """
        squares = self.squares + other.squares
        if self.count and other.count:
            apart = float(self.total) / self.count - float(other.total) / other.count
            # Not `**`: beyond the largest double it raises, where a product is infinite.
            squares += apart * apart * (self.count * other.count / (self.count + other.count))
        lows = [low for low in (self.low, other.low) if low is not None]
        highs = [high for high in (self.high, other.high) if high is not None]
        return Moments(
            count=self.count + other.count,
            total=self.total + other.total,
            squares=squares,
            low=min(lows, default=None),
            high=max(highs, default=None),
            above=self.above + other.above,
            below=self.below + other.below,
        )


def _total(numbers: npt.NDArray[Any]) -> float:
    if numbers.dtype.kind == "f":
        return float(numbers.sum())
    if numbers.dtype != np.uint64:
        numbers = numbers.astype(np.int64, copy=False)
    halves = (numbers >> _HALF).sum(), (numbers & (2**_HALF - 1)).sum()
    return (int(halves[0]) << _HALF) + int(halves[1])
