"""Figures of many days, as the series that are drawn and the tables that are shown. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from batch_jobs.monitoring.names import ALL, PREDICTION

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from batch_jobs.monitoring.declared import Source
    from batch_jobs.monitoring.figures import DayFigures, Figure

    Days = Mapping[dt.date, DayFigures]

_TWO_SIDED = 1.96


@dataclass(frozen=True)
class Point:
    """A figure and its day."""

    date: dt.date
    figure: Figure


@dataclass(frozen=True)
class Reign:
    """The days from the first to the last, in a row, on which a version was the busiest."""

    version: int
    first: dt.date
    last: dt.date


@dataclass(frozen=True)
class Bin:
    """Predictions of a tenth, over many days: means of what was predicted and what came, and how sure."""

    predicted: float
    observed: float
    low: float
    high: float
    rows: int


def series(
    days: Days,
    metric: str,
    *,
    source: Source = "batch",
    of: str = ALL,
    feature: str = "",
    window: bool = False,
) -> list[Point]:
    """Return a figure of each day that has it, of the version that was busiest."""
    points = []
    for date, day in sorted(days.items()):
        version = next(iter(day.versions(source)), None)
        points += [
            Point(date, each)
            for each in day.figures
            if each.metric == metric
            and each.source == source
            and each.slice == of
            and each.feature == feature
            and (each.days > 1) == window
            and each.model_version == version
        ]
    return points


def reigns(days: Days, source: Source = "batch") -> list[Reign]:
    """Return who reigned when, in order."""
    found: list[Reign] = []
    for date, day in sorted(days.items()):
        version = next(iter(day.versions(source)), None)
        if version is None:
            continue
        if found and found[-1].version == version:
            found[-1] = Reign(version, found[-1].first, date)
        else:
            found.append(Reign(version, date, date))
    return found


def features(days: Days, metric: str = "psi", source: Source = "batch", *, window: bool = False) -> list[str]:
    """Name the features of which a metric was measured, the most extreme first."""
    worst: dict[str, float] = {}
    for day in days.values():
        for each in day.figures:
            of = each.metric == metric and each.source == source and (each.days > 1) == window
            if of and each.feature:
                worst[each.feature] = max(worst.get(each.feature, 0.0), abs(each.value))
    return sorted(worst, key=lambda name: (-worst[name], name))


def calibration(days: Days, version: int, source: Source = "batch") -> list[Bin]:
    """Compare predicted with observed shares, by tenths of the prediction; intervals take days as blocks.

    The share is a ratio of sums over days, and its standard error that of a ratio (Cochran, Sampling
    Techniques, 1977, section 6.3).
    """
    found: dict[str, dict[str, list[tuple[float, int]]]] = {}
    for day in days.values():
        for each in day.figures:
            mine = each.source == source and each.model_version == version and each.days == 1
            if mine and each.slice.startswith(f"{PREDICTION}=") and each.metric.startswith("mean_"):
                of = found.setdefault(each.slice, {})
                of.setdefault(each.metric, []).append((each.value, each.rows))
    bins = [_bin(of["mean_prediction"], of["mean_outcome"]) for of in found.values() if len(of) > 1]
    return sorted(bins, key=lambda each: each.predicted)


def _bin(predicted: Sequence[tuple[float, int]], observed: Sequence[tuple[float, int]]) -> Bin:
    values, rows = np.array(observed).T
    total = float(rows.sum())
    share = float(values @ rows / total)
    count = len(rows)
    spread = np.sqrt(((values - share) * rows) @ ((values - share) * rows) / max(count - 1, 1))
    error = _TWO_SIDED * float(spread * np.sqrt(count) / total)
    mean = sum(value * n for value, n in predicted) / total
    return Bin(mean, share, max(share - error, 0.0), min(share + error, 1.0), int(total))


def slices(days: Days, metric: str, source: Source = "batch") -> list[Figure]:
    """Return a metric of each slice over the newest window, the largest slice first."""
    for _, day in sorted(days.items(), reverse=True):
        version = next(iter(day.versions(source)), None)
        found = [
            each
            for each in day.figures
            if each.metric == metric
            and each.source == source
            and each.model_version == version
            and each.days > 1
            and each.slice != ALL
            and not each.slice.startswith(f"{PREDICTION}=")
        ]
        if found:
            return sorted(found, key=lambda each: (-each.rows, each.slice))
    return []
