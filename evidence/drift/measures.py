"""Measures of drift: by how much the shares of bins differ, and what of that chance alone would do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chdtri

if TYPE_CHECKING:
    import numpy.typing as npt

    from evidence.drift.references import BinCounts, ColumnReference
    from evidence.statistic import Floats

    Counts = npt.NDArray[np.generic]

# Added to every count (Krichevsky and Trofimov, 1981): a bin that was never filled is rare, not impossible.
_SMOOTHING = 0.5
_BY_CHANCE = 0.05


@dataclass(frozen=True)
class Drift:
    """A column now beside what it was; None: no value is there to say so.

    `psi` is the population stability index, of which 0.1 is often called notable and 0.25 large;
    `psi_by_chance` is what it exceeds in 5 % of cases where nothing moved, so on few rows it is large for
    nothing. `jensen_shannon` is in bits, 0 to 1. `missing` and `missing_difference`, now - then, are shares
    of all rows; `unseen` is the share of present values whose category was never seen, None where some had no
    bin.
    """

    rows: int
    psi: float | None
    psi_by_chance: float | None
    jensen_shannon: float | None
    missing: float | None
    missing_difference: float | None
    unseen: float | None


def measure_drift(reference: ColumnReference, found: BinCounts) -> Drift:
    """Measure how far counts lie from the reference by whose bins they were made."""
    rows, present = found.rows, found.rows - found.missing
    was_present = reference.rows - reference.missing
    missing = found.missing / rows if rows else None
    moved = missing - reference.missing / reference.rows if missing is not None and reference.rows else None
    if not present or not was_present:
        return Drift(rows, None, None, None, missing, moved, None)
    then, now = np.array(reference.bins), found.bins
    if reference.others or found.unseen:
        then, now = np.append(then, reference.others), np.append(now, found.unseen)
    unseen = None if reference.others else found.unseen / present
    chance = float(chdtri(max(len(then) - 1, 1), _BY_CHANCE)) * (1 / present + 1 / was_present)
    return Drift(rows, psi(then, now), chance, jensen_shannon(then, now), missing, moved, unseen)


def psi(then: Counts, now: Counts) -> float:
    """Return the population stability index of counts, (bins,) both: 0 for equal shares, no upper end.

    The sum of (now - then) · ln(now / then) over shares; the symmetric divergence of Jeffreys (1946), in
    nats. Between equal distributions it is about chi-square of bins - 1, times (1 / rows + 1 / rows);
    Yurdakul and Naranjo, "Statistical properties of the population stability index" (2020).
    """
    p, q = _shares(then), _shares(now)
    return float(((q - p) * np.log(q / p)).sum())


def jensen_shannon(then: Counts, now: Counts) -> float:
    """Return the divergence of Jensen and Shannon (Lin, 1991) of counts, (bins,) both, in bits: 0 to 1."""
    p, q = _shares(then), _shares(now)
    middle = (p + q) / 2
    return float((p * np.log2(p / middle) + q * np.log2(q / middle)).sum() / 2)


def _shares(counts: Counts) -> Floats:
    smoothed = np.asarray(counts, np.float64) + _SMOOTHING
    return np.asarray(smoothed / smoothed.sum())
