"""Plots as SVG. Text stays text, so that pages are small and names can be searched for."""

from __future__ import annotations

import datetime as dt
import io
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import matplotlib.dates as mdates  # the backend is chosen first
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from batch_jobs.monitoring.report.series import Bin, Point, Reign

_STYLE = {"svg.fonttype": "none", "svg.hashsalt": "greenroom", "font.size": 10, "font.family": "sans-serif"}
_WIDTH, _HEIGHT = 5.8, 3.1
# Told apart by those who see no red and green (Okabe and Ito, 2008), and by their markers.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
_MARKERS = "osD^vP"
_GREY = "#6b7280"
_LABELS_AT_MOST = 30
# A day or two that was unfit is no break.
_GAP = dt.timedelta(days=3)


def quality(
    name: str,
    daily: Sequence[Point],
    windows: Sequence[Point],
    reigning: Sequence[Reign],
    bounds: Mapping[str, float],
    fired: Sequence[dt.date],
) -> str:
    """Draw a metric over time: days as dots, the window as a line with its interval, reigns as ground."""
    figure, axes = _new()
    _ground(axes, reigning)
    axes.plot(
        [_at(p.date) for p in daily],
        [p.figure.value for p in daily],
        ".",
        color=_GREY,
        alpha=0.6,
        label="a day",
    )
    for part in _unbroken(windows):
        dates = [_at(p.date) for p in part]
        axes.plot(dates, [p.figure.value for p in part], color=COLOURS[0], linewidth=2)
        sure = [p for p in part if p.figure.low is not None]
        axes.fill_between(
            [_at(p.date) for p in sure],
            [p.figure.low for p in sure],
            [p.figure.high for p in sure],
            color=COLOURS[0],
            alpha=0.18,
            linewidth=0,
        )
    if windows:
        axes.plot([], [], color=COLOURS[0], linewidth=2, label=f"{windows[-1].figure.days} days, 95 %")
    for said, bound in bounds.items():
        axes.axhline(bound, color=COLOURS[1], linewidth=1.2, linestyle="--", label=f"alert {said}")
    for nth, date in enumerate(fired):
        axes.axvline(_at(date), color=COLOURS[1], linewidth=1, label=None if nth else "alert fired")
    _zoom(axes, daily, windows, bounds)
    axes.set_ylabel(name)
    return _finish(figure, axes)


def calibration(bins: Mapping[int, Sequence[Bin]]) -> str:
    """Draw what came against what was predicted, for each version."""
    figure, axes = _new(height=3.9)
    axes.plot([0, 1], [0, 1], color=_GREY, linewidth=1, linestyle="--", label="as predicted")
    for nth, (version, found) in enumerate(bins.items()):
        colour, marker = COLOURS[nth % len(COLOURS)], _MARKERS[nth % len(_MARKERS)]
        x, y = [each.predicted for each in found], [each.observed for each in found]
        below = [each.observed - each.low for each in found]
        above = [each.high - each.observed for each in found]
        axes.errorbar(
            x, y, yerr=[below, above], color=colour, marker=marker, capsize=3, label=f"version {version}"
        )
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("predicted")
    axes.set_ylabel("came true")
    return _finish(figure, axes, dates=False)


def volumes(scored: Sequence[Point], quarantined: Sequence[Point], labelled: Sequence[Point]) -> str:
    """Draw rows a day, stacked by what became of them, and how many outcomes are known."""
    figure, axes = _new()
    rows = {p.date: p.figure.value for p in scored}
    aside = {p.date: p.figure.value for p in quarantined}
    dates = sorted(rows)
    x = [_at(date) for date in dates]
    low = np.array([rows[date] for date in dates])
    axes.bar(x, low, width=0.9, color=COLOURS[4], label="scored")
    high = [aside.get(date, 0.0) for date in dates]
    axes.bar(x, high, width=0.9, bottom=low, color=COLOURS[1], hatch="//", label="quarantined")
    axes.plot(
        [_at(p.date) for p in labelled],
        [p.figure.value for p in labelled],
        color="black",
        linewidth=1,
        label="outcome known",
    )
    axes.set_ylabel("rows")
    axes.set_ylim(bottom=0)
    return _finish(figure, axes)


def drift(names: Sequence[str], found: Mapping[str, Sequence[Point]], drifted_from: float) -> str:
    """Draw PSI of each feature and day as a map; full colour is twice the threshold and more."""
    dates = sorted({point.date for points in found.values() for point in points})
    span = [dates[0] + dt.timedelta(days=n) for n in range((dates[-1] - dates[0]).days + 1)]
    cells = np.full((len(names), len(span)), np.nan)
    for row, name in enumerate(names):
        for point in found[name]:
            cells[row, (point.date - span[0]).days] = point.figure.value
    figure, axes = _new(height=1.2 + 0.26 * len(names))
    left, right = _at(span[0]) - 0.5, _at(span[-1]) + 0.5
    image = axes.imshow(
        cells,
        aspect="auto",
        cmap="YlOrRd",
        vmin=0,
        vmax=2 * drifted_from,
        interpolation="nearest",
        extent=(left, right, len(names) - 0.5, -0.5),
    )
    axes.set_yticks(range(len(names)), list(names), parse_math=False)
    axes.grid(visible=False)
    bar = figure.colorbar(image, ax=axes, pad=0.02, extend="max")
    bar.set_ticks(
        [0, drifted_from, 2 * drifted_from], labels=["0", f"{drifted_from:g}", f"{2 * drifted_from:g}"]
    )
    bar.set_label("PSI")
    return _finish(figure, axes, legend=False)


def lines(title: str, found: Mapping[str, Sequence[Point]], bound: float | None) -> str:
    """Draw some series over time, each with a name."""
    figure, axes = _new()
    for nth, (name, points) in enumerate(found.items()):
        for part_nth, part in enumerate(_unbroken(points)):
            axes.plot(
                [_at(p.date) for p in part],
                [p.figure.value for p in part],
                color=COLOURS[nth % len(COLOURS)],
                marker=_MARKERS[nth % len(_MARKERS)],
                markersize=3,
                linewidth=1.2,
                label=None if part_nth else _plain(name),
            )
    if bound is not None:
        axes.axhline(bound, color=_GREY, linewidth=1.2, linestyle="--", label="threshold")
    axes.set_ylabel(title)
    return _finish(figure, axes)


def _new(height: float = _HEIGHT) -> tuple[Figure, Any]:
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e5e7eb", linewidth=0.8)
    axes.set_axisbelow(True)
    return figure, axes


def _finish(figure: Figure, axes: Any, *, dates: bool = True, legend: bool = True) -> str:
    with mpl.rc_context(_STYLE):
        if dates:
            locator = mdates.AutoDateLocator(minticks=3, maxticks=7)
            axes.xaxis.set_major_locator(locator)
            axes.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))
        if legend:
            handles, labels = axes.get_legend_handles_labels()
            figure.legend(
                handles,
                labels,
                loc="outside lower center",
                ncols=2,
                frameon=False,
                fontsize=9,
                handlelength=1.6,
            )
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _ground(axes: Any, reigning: Sequence[Reign]) -> None:
    for nth, each in enumerate(reigning):
        left, right = _at(each.first) - 0.5, _at(each.last) + 0.5
        axes.axvspan(left, right, color="#f3f4f6" if nth % 2 else "#e0ecf7", linewidth=0, zorder=0)
        axes.text(
            left, 1.01, f" v{each.version}", transform=axes.get_xaxis_transform(), fontsize=10, va="bottom"
        )


def _zoom(axes: Any, daily: Sequence[Point], windows: Sequence[Point], bounds: Mapping[str, float]) -> None:
    """Let a day that is far off not press the rest together; it is cut at the edge."""
    values = [p.figure.value for p in daily]
    shown = [*np.percentile(values, [2, 98]), *bounds.values()] if values else list(bounds.values())
    shown += [p.figure.value for p in windows]
    if shown:
        pad = 0.08 * (max(shown) - min(shown)) or 0.01
        axes.set_ylim(min(shown) - pad, max(shown) + pad)


def _unbroken(points: Sequence[Point]) -> list[list[Point]]:
    """Cut a series where the version changes, or days are missing: a line across would say nothing."""
    parts: list[list[Point]] = []
    for point in points:
        before = parts[-1][-1] if parts else None
        goes_on = (
            before is not None
            and before.figure.model_version == point.figure.model_version
            and point.date - before.date <= _GAP
        )
        if goes_on:
            parts[-1].append(point)
        else:
            parts.append([point])
    return parts


def _at(date: dt.date) -> float:
    return float(mdates.date2num(date))


def _plain(name: str) -> str:
    """Keep a name from being read as mathematics, and from hiding itself by an underscore."""
    return name.replace("$", r"\$").lstrip("_")[:_LABELS_AT_MOST]
