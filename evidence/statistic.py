"""What a metric computes: once on weighted rows, and many times on resampled blocks of rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# From how often each block was drawn, (resamples, blocks), to the statistic, (resamples,). NaN where
# it cannot be computed.
Replay = Callable[[Floats], Floats]


class Statistic(Protocol):
    """A function of rows in which a row of weight w counts as w rows. NaN where it cannot be computed."""

    def of(self, label: Floats, predicted: Floats, weight: Floats) -> float:
        """Compute it on rows; all arrays are (rows,)."""

    def replay(self, label: Floats, predicted: Floats, block: Ints, blocks: int) -> Replay:
        """Prepare it for resampling. `block` numbers the block of each row, from 0 to `blocks` - 1.

        For counts c, (blocks,), the answer is what `of` says to the weights `c[block]`. Nothing of size
        rows x resamples is ever made.
        """


@dataclass(frozen=True)
class Sums:
    """A statistic that depends on rows through a few sums only, so that blocks are summed once.

    `terms` are what each row adds, any number of (rows,); `combine` takes as many sums, all of one shape.
    """

    terms: Callable[[Floats, Floats], tuple[Floats, ...]]
    combine: Callable[..., Floats]

    def of(self, label: Floats, predicted: Floats, weight: Floats) -> float:
        """Compute it on weighted rows."""
        return float(self._combined([np.asarray(weight @ term) for term in self.terms(label, predicted)]))

    def replay(self, label: Floats, predicted: Floats, block: Ints, blocks: int) -> Replay:
        """Prepare it for resampling: one sum per block and term."""
        sums = [np.bincount(block, term, blocks) for term in self.terms(label, predicted)]
        return lambda counts: self._combined([counts @ of_block for of_block in sums])

    def _combined(self, sums: list[Floats]) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.combine(*sums)
