"""Samples: some values of a column, drawn as from a hat, and the same ones each time. Pure."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

# Of so many values, a tenth is told to half a percent.
_KEPT = 4096


@dataclass(frozen=True)
class Sample:
    """Values, each as likely to be kept as any other; `draws` decide which, and are in order."""

    draws: Floats
    values: Floats

    @classmethod
    def of(cls, values: Floats) -> Sample:
        """Draw from finite numbers."""
        # Seeded by the values: batches of one size would otherwise give the same rows each.
        draws = np.random.default_rng(zlib.crc32(values.tobytes())).random(len(values))
        return cls(draws, values).first(_KEPT)

    def merge(self, other: Sample) -> Sample:
        """Return the sample of both."""
        both = Sample(np.concatenate([self.draws, other.draws]), np.concatenate([self.values, other.values]))
        return both.first(_KEPT)

    def first(self, most: int) -> Sample:
        """Return a smaller sample."""
        kept = np.argsort(self.draws, kind="stable")[:most]
        return Sample(self.draws[kept], self.values[kept])
