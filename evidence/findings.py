"""All that one validation measures, in one value: what gates are judged by and reports are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evidence.intervals import DEFAULT, Estimate, Resampling, difference, estimate
from evidence.slices import SliceFinding, measure_slices

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evidence.metrics import Metric
    from evidence.slices import Column, Sample


@dataclass(frozen=True)
class Findings:
    """Measured on the same rows: candidate, champion (None: there is none), candidate - champion, slices.

    All by metric, but `quality`: figures about the data itself, as the share of rows rejected.
    """

    candidate: Mapping[str, Estimate]
    champion: Mapping[str, Estimate] | None = None
    differences: Mapping[str, Estimate] = field(default_factory=dict)
    slices: Sequence[SliceFinding] = ()
    quality: Mapping[str, float] = field(default_factory=dict)


def measure(
    metrics: Mapping[str, Metric],
    sample: Sample,
    columns: Mapping[str, Column] | None = None,
    bands: Mapping[str, Sequence[float]] | None = None,
    quality: Mapping[str, float] | None = None,
    resampling: Resampling = DEFAULT,
) -> Findings:
    """Measure candidate and champion on the whole sample and on each slice of `columns`.

    Raises `ValueError` where a metric cannot be computed on the whole sample.
    """
    label, champion, blocks = sample.label, sample.champion, sample.blocks
    measured = {name: estimate(m, label, sample.candidate, blocks, resampling) for name, m in metrics.items()}
    slices = measure_slices(metrics, sample, columns or {}, bands, resampling)
    if champion is None:
        return Findings(measured, slices=slices, quality=quality or {})
    return Findings(
        measured,
        {name: estimate(m, label, champion, blocks, resampling) for name, m in metrics.items()},
        {
            name: difference(m, label, sample.candidate, champion, blocks, resampling)
            for name, m in metrics.items()
        },
        slices,
        quality or {},
    )
