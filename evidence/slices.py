"""The same metrics on parts of the rows: each carrier, each band of distance.

Among forty slices, two would be off by chance at 95 % each. So intervals of slices hold all at once: over
m slices judged, each is made at 1 - (1 - level) / m (Bonferroni; Dunn, 1961). Holm's steps would find a
little more, but give no interval that a person could read beside the verdict.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from evidence.intervals import DEFAULT, LEAST_BLOCKS, Estimate, Resampling, difference, estimate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from evidence.metrics import Metric
    from evidence.statistic import Floats

    Column = npt.NDArray[np.generic]

LEAST_ROWS = 100
LEAST_OF_EACH_CLASS = 20
# A report of more is read by nobody; a column of so many values is a key, or wants bands.
_MOST_VALUES = 100
MISSING = "missing"


@dataclass(frozen=True)
class Sample:
    """Rows to judge on: the label, what candidate and champion predict, and the block (day). All (rows,)."""

    label: Floats
    candidate: Floats
    champion: Floats | None = None
    blocks: Column | None = None

    def only(self, rows: npt.NDArray[np.bool_]) -> Sample:
        """Return some of the rows."""
        return Sample(
            self.label[rows],
            self.candidate[rows],
            None if self.champion is None else self.champion[rows],
            None if self.blocks is None else self.blocks[rows],
        )


@dataclass(frozen=True)
class SliceFinding:
    """What was measured where `column` is `value`; by metric, with intervals that hold for all slices.

    `reasons` says by metric why there is no number.
    """

    column: str
    value: str
    rows: int
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    differences: Mapping[str, Estimate] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)


def cut_bands(values: Floats, edges: Sequence[float]) -> npt.NDArray[np.str_]:
    """Name the band of each number: with edges 0 and 500, "below 0", "0 to 500" and "500 and more".

    An edge belongs to the band above it; NaN is "missing". Raises `ValueError` unless the edges rise.
    """
    if not len(edges) or not np.all(np.isfinite(edges)) or np.any(np.diff(edges) <= 0):
        raise ValueError(f"found the edges {list(edges)}, expected rising numbers, as [0, 500, 1000]")
    names = [
        f"below {edges[0]:g}",
        *(f"{low:g} to {high:g}" for low, high in pairwise(edges)),
        f"{edges[-1]:g} and more",
        MISSING,
    ]
    numbers = np.asarray(values, np.float64)
    band = np.searchsorted(np.asarray(edges, np.float64), numbers, side="right")
    band[np.isnan(numbers)] = len(names) - 1
    return np.array(names)[band]


def measure_slices(
    metrics: Mapping[str, Metric],
    sample: Sample,
    columns: Mapping[str, Column],
    bands: Mapping[str, Sequence[float]] | None = None,
    resampling: Resampling = DEFAULT,
) -> list[SliceFinding]:
    """Measure every slice of every column; the largest first within a column.

    Columns are (rows,), of strings or numbers; those in `bands` are cut there. A slice too small to judge
    has a reason instead of numbers. Raises `ValueError` for a column of more than 100 values.
    """
    found = [
        (name, value, sample.only(rows))
        for name, column in columns.items()
        for value, rows in _values(name, column, (bands or {}).get(name))
    ]
    judged = {
        metric.name: sum(_too_small(metric, part) is None for _, _, part in found)
        for metric in metrics.values()
    }
    return [
        _measure_slice(metrics, name, value, part, _for_all(resampling, judged))
        for name, value, part in found
    ]


def _values(
    name: str, column: Column, edges: Sequence[float] | None
) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    named = cut_bands(column.astype(np.float64), edges) if edges else _as_text(column)
    values, number, rows = np.unique(named, return_inverse=True, return_counts=True)
    if len(values) > _MOST_VALUES:
        raise ValueError(
            f"The column {name} has {len(values)} values, expected at most {_MOST_VALUES} to slice by;"
            " declare bands for it, or choose another column"
        )
    return [(str(values[n]), number == n) for n in np.argsort(-rows, kind="stable")]


def _as_text(column: Column) -> npt.NDArray[np.str_]:
    plain = column.tolist()
    # A null is None, NaN or pandas' NA, depending on where the column comes from.
    return np.array([MISSING if v is None or v != v or str(v) == "<NA>" else _plain(v) for v in plain])  # noqa: PLR0124


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _for_all(resampling: Resampling, judged: Mapping[str, int]) -> dict[str, Resampling]:
    return {
        name: replace(resampling, level=1 - (1 - resampling.level) / max(count, 1))
        for name, count in judged.items()
    }


def _too_small(metric: Metric, part: Sample) -> str | None:
    rows = len(part.label)
    if rows < LEAST_ROWS:
        return f"{rows} rows, expected at least {LEAST_ROWS}"
    if metric.task == "classification":
        positives = int(part.label.sum())
        for what, count in (("positives", positives), ("negatives", rows - positives)):
            if count < LEAST_OF_EACH_CLASS:
                return f"{count} {what}, expected at least {LEAST_OF_EACH_CLASS}"
    blocks = rows if part.blocks is None else len(np.unique(part.blocks))
    if blocks < LEAST_BLOCKS:
        return f"{blocks} blocks of rows, expected at least {LEAST_BLOCKS}"
    return None


def _measure_slice(
    metrics: Mapping[str, Metric], name: str, value: str, part: Sample, by_metric: Mapping[str, Resampling]
) -> SliceFinding:
    estimates, differences, reasons = {}, {}, {}
    for key, metric in metrics.items():
        if reason := _too_small(metric, part):
            reasons[key] = reason
            continue
        at = by_metric[metric.name]
        try:
            estimates[key] = estimate(metric, part.label, part.candidate, part.blocks, at)
            if part.champion is not None:
                differences[key] = difference(
                    metric, part.label, part.candidate, part.champion, part.blocks, at
                )
        except ValueError as error:
            # Precision where no row is predicted high enough, say: small is not the only reason.
            reasons[key] = str(error)
    return SliceFinding(name, value, len(part.label), estimates, differences, reasons)
