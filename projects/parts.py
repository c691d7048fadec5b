"""Parts of a project's rows: the days of a window, or one side of a split by row key."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pandas as pd

from projects.errors import DeclarationError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True)
class Window:
    """Days from `since` to `until`, both included."""

    since: dt.date
    until: dt.date

    def __str__(self) -> str:
        return f"{self.since} to {self.until}"

    @classmethod
    def between(cls, since: dt.date, until: dt.date) -> Window:
        """Make a window. Raises `DeclarationError` where it would end before it begins."""
        if until < since:
            raise DeclarationError(
                f"The window {since} to {until} ends before it begins; check --since and --until"
            )
        return cls(since, until)

    @property
    def days(self) -> list[dt.date]:
        """Every day of the window, in order."""
        count = (self.until - self.since).days + 1
        return [self.since + dt.timedelta(days=n) for n in range(count)]


@dataclass(frozen=True)
class Side:
    """One side of a split of rows that know no time: `share` of the row keys is held out for validation.

    A key is always on the same side, whatever rows come with it.
    """

    share: float
    of: Literal["training", "validation"]

    def __str__(self) -> str:
        share = self.share if self.of == "validation" else 1 - self.share
        return f"{share * 100:g} % of the row keys, for {self.of}"

    def holds(self, keys: npt.NDArray[np.object_]) -> npt.NDArray[np.bool_]:
        """Say which row keys, (rows,), lie on this side."""
        # pandas promises the same hash on every machine and in every version.
        held_out = pd.util.hash_array(keys, categorize=False) < self.share * 2.0**64
        return held_out if self.of == "validation" else ~held_out


Part = Window | Side
