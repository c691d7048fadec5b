"""How far the rows of a day are from those that the version was trained on, column by column. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from batch_jobs.monitoring.names import DRIFTED, PREDICTION
from evidence.drift import count_bins, measure_drift

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from batch_jobs.conform import ColumnKind
    from batch_jobs.monitoring.declared import Thresholds
    from batch_jobs.monitoring.figures import Figure
    from batch_jobs.monitoring.quality import Floats
    from batch_jobs.monitoring.references import Reference
    from evidence.drift import BinCounts, Drift

    Counts = Mapping[str, BinCounts]


def kinds_of(reference: Reference) -> dict[str, ColumnKind]:
    """Return the columns of a reference, and what they hold."""
    return {name: "number" if each.kind == "number" else "text" for name, each in reference.columns.items()}


def count_rows(reference: Reference, features: pa.Table, predicted: Floats) -> Counts:
    """Count rows by the bins of a reference, which is all that is kept of a day: counts add up.

    `features` has the columns of `kinds_of`, one row for each of `predicted`.
    """
    counts = {
        name: count_bins(column, features[name].to_numpy()) for name, column in reference.columns.items()
    }
    return counts | {PREDICTION: count_bins(reference.prediction, predicted)}


def together(counts: Sequence[Counts]) -> Counts:
    """Add up the counts of days."""
    first, *others = counts
    for other in others:
        first = {name: found + other[name] for name, found in first.items()}
    return first


def measure_features(reference: Reference, counts: Counts, of: Figure, limits: Thresholds) -> list[Figure]:
    """Measure every column, and the predictions; and how many columns are beyond a threshold.

    `of` has the source, version and days of the counts. A column has drifted where it is beyond a threshold,
    and by more than chance alone would do.
    """
    found = {name: measure_drift(column, counts[name]) for name, column in reference.columns.items()}
    predicted = {PREDICTION: measure_drift(reference.prediction, counts[PREDICTION])}
    figures = [
        figure
        for name, each in (found | predicted).items()
        for figure in _figures(each, replace(of, feature=name))
    ]
    drifted = sum(_has_drifted(each, limits) for each in found.values())
    return [*figures, replace(of, metric=DRIFTED, value=drifted, rows=counts[PREDICTION].rows)]


def _figures(found: Drift, of: Figure) -> list[Figure]:
    values = {
        "psi": found.psi,
        "psi_by_chance": found.psi_by_chance,
        "jensen_shannon": found.jensen_shannon,
        "missing_share": found.missing,
        "missing_change": found.missing_difference,
        "unseen_share": found.unseen,
    }
    return [
        replace(of, metric=name, value=value, rows=found.rows)
        for name, value in values.items()
        if value is not None and np.isfinite(value)
    ]


def _has_drifted(found: Drift, limits: Thresholds) -> bool:
    psi = found.psi is not None and found.psi > max(limits.psi, found.psi_by_chance or 0.0)
    missing = abs(found.missing_difference or 0.0) > limits.missing_share
    return psi or missing or (found.unseen or 0.0) > limits.unseen_share
