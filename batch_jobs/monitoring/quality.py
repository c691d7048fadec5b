"""How well predictions did: of a day, and of a window of days; per version and slice. Pure.

An interval of a single day takes its rows as independent, and says how far the day could be off by its own
size. Days differ among themselves by more than that, so what is to be concluded of a version is read from the
window, whose intervals resample whole days (`evidence.intervals`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from batch_jobs.monitoring.figures import Figure
from batch_jobs.monitoring.names import PREDICTION, QUALITY
from batch_jobs.monitoring.rows import typed
from evidence import LEAST_BLOCKS, METRICS, Resampling, Sample, cut_bands, estimate, measure_slices

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt

    from batch_jobs.conform import ColumnKind
    from batch_jobs.monitoring.declared import Monitor, Source
    from batch_jobs.monitoring.rows import DayRows

    Floats = npt.NDArray[np.float64]

_RESAMPLING = Resampling(resamples=400)
# Each resample goes over all rows again; it says how far calibration could be off, and no gate hangs on it.
_FEW = Resampling(resamples=200)
# Rows of a day, put together at random: groups of independent rows are independent, and a day has thousands.
_GROUPS = 50
_BINS = tuple(n / 10 for n in range(1, 10))
# Of slices it would take a second, and be biased by how few rows they have.
_NOT_OF_SLICES = "calibration_error"
# What `measure_slices` allows.
_MOST_VALUES = 100


@dataclass(frozen=True)
class _Judged:
    """Rows whose outcome is known, of one version; all (rows,)."""

    label: Floats
    predicted: Floats
    blocks: npt.NDArray[np.int64]
    slices: Mapping[str, npt.NDArray[np.generic]]


def measure_quality(days: Sequence[DayRows], monitor: Monitor) -> tuple[list[Figure], list[str]]:
    """Measure the last of some days alone, and all of them together; and say what could not be measured.

    A version is measured where the last day has rows of it. All days are of one source.
    """
    figures: list[Figure] = []
    warnings: dict[str, None] = {}
    last = days[-1]
    for version in np.unique(last.versions).tolist():
        for over in (days[-1:], days) if len(days) > 1 else (days,):
            found = _judged(over, version, monitor)
            span = monitor.window_days if over is days and len(days) > 1 else 1
            if len(found.label):
                figures += _measure(found, last.source, version, span, monitor, warnings)
    return figures, list(warnings)


def _judged(days: Sequence[DayRows], version: int, monitor: Monitor) -> _Judged:
    masks = [np.isfinite(day.label) & np.isfinite(day.predicted) & (day.versions == version) for day in days]
    label, predicted = (
        np.concatenate([getattr(day, name)[mask] for day, mask in zip(days, masks, strict=True)])
        for name in ("label", "predicted")
    )
    kinds: dict[str, ColumnKind] = {
        name: "number" if bands else "text" for name, bands in monitor.slices.items()
    }
    columns = [typed(day.features, kinds) for day in days]
    tables = [table.filter(pa.array(mask)) for table, mask in zip(columns, masks, strict=True)]
    slices = {
        name: np.concatenate([table[name].to_numpy(zero_copy_only=False) for table in tables])
        if bands is None
        else np.concatenate([np.asarray(table[name].to_numpy(), np.float64) for table in tables])
        for name, bands in monitor.slices.items()
    }
    ordinals = [day.date.toordinal() for day in days]
    blocks = np.repeat(np.array(ordinals), [int(mask.sum()) for mask in masks])
    return _Judged(label, predicted, blocks if len(days) > 1 else _grouped(label, predicted), slices)


def _grouped(label: Floats, predicted: Floats) -> npt.NDArray[np.int64]:
    """Put rows into groups at random, whatever their order."""
    groups = np.empty(len(label), np.int64)
    groups[np.lexsort((predicted, label))] = np.random.default_rng(0).permutation(len(label)) % _GROUPS
    return groups


def _measure(
    found: _Judged, source: Source, version: int, span: int, monitor: Monitor, warnings: dict[str, None]
) -> Iterator[Figure]:
    task = monitor.outcomes.task
    rows = len(found.label)
    for name in QUALITY[task]:
        try:
            drawn = _FEW if name == _NOT_OF_SLICES else _RESAMPLING
            got = estimate(METRICS[name], found.label, found.predicted, found.blocks, drawn)
        except ValueError as error:
            warnings[str(error)] = None
            continue
        yield Figure(source, version, name, got.value, rows, got.low, got.high, span)
    yield from _means(found.label, found.predicted, Figure(source, version, "", 0, rows, days=span))
    if task == "classification":
        band = cut_bands(found.predicted, _BINS)
        for value in np.unique(band).tolist():
            mine = band == value
            of = Figure(source, version, "", 0, int(mine.sum()), days=span, slice=f"{PREDICTION}={value}")
            yield from _means(found.label[mine], found.predicted[mine], of)
    yield from _of_slices(found, source, version, span, monitor, warnings)


def _means(label: Floats, predicted: Floats, of: Figure) -> Iterator[Figure]:
    for name, values in (("mean_prediction", predicted), ("mean_outcome", label)):
        mean = float(values.mean())
        yield Figure(of.source, of.model_version, name, mean, of.rows, days=of.days, slice=of.slice)


def _of_slices(
    found: _Judged, source: Source, version: int, span: int, monitor: Monitor, warnings: dict[str, None]
) -> Iterator[Figure]:
    if len(np.unique(found.blocks)) < LEAST_BLOCKS:
        return
    names = [name for name in QUALITY[monitor.outcomes.task] if name != _NOT_OF_SLICES]
    metrics = {name: METRICS[name] for name in names}
    sample = Sample(found.label, found.predicted, None, found.blocks)
    columns = {}
    for name, values in found.slices.items():
        if monitor.slices[name] is None and len({*values.tolist()}) > _MOST_VALUES:
            warnings[f"{name} has more than {_MOST_VALUES} values, and is not sliced by; cut it in bands"] = (
                None
            )
        else:
            columns[name] = values
    bands = {name: bands for name, bands in monitor.slices.items() if bands and name in columns}
    # In one call: the intervals of all slices hold at once.
    for part in measure_slices(metrics, sample, columns, bands, _RESAMPLING):
        for metric, got in part.estimates.items():
            value = f"{part.column}={part.value}"
            yield Figure(source, version, metric, got.value, part.rows, got.low, got.high, span, slice=value)


def measure_volumes(day: DayRows) -> list[Figure]:
    """Count the rows of a day, and what became of their outcomes."""
    figures = []
    for version, scored in day.scored.items():
        of_version = day.versions == version
        measured = int(of_version.sum())
        labelled = int((np.isfinite(day.label) & of_version).sum())
        counts: dict[str, float] = {
            "scored": scored,
            "labelled": labelled,
            "labelled_share": labelled / measured if measured else 0.0,
        }
        if day.source == "batch":
            counts["quarantined"] = day.quarantined
            counts["quarantined_share"] = day.quarantined / (scored + day.quarantined)
        counts |= {f"outcomes_{name}": count for name, count in day.outcomes.items()}
        figures += [Figure(day.source, version, name, value, scored) for name, value in counts.items()]
    return figures
