"""What the report says of rows that moved from those of training, and of the endpoint from the job. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batch_jobs.monitoring.names import PREDICTION
from batch_jobs.monitoring.report import plots
from batch_jobs.monitoring.report.page import Plot, Section, Table
from batch_jobs.monitoring.report.series import features, series
from batch_jobs.monitoring.report.wording import cut, number

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from batch_jobs.monitoring.declared import Monitor, Source
    from batch_jobs.monitoring.figures import DayFigures

    Days = Mapping[dt.date, DayFigures]

_MOST_FEATURES = 30
_SKEW_SHOWN = 6


def drift(days: Days, monitor: Monitor, source: Source = "batch") -> list[Section]:
    """Return how far the rows of the period are from those of training; nothing where that is not known."""
    names = features(days, source=source, window=True)
    if not names:
        return []
    shown = names[:_MOST_FEATURES]
    found = {name: series(days, "psi", source=source, feature=name, window=True) for name in shown}
    limit = monitor.drift.psi
    over = [name for name in shown if found[name] and found[name][-1].figure.value > limit]
    told = f"PSI of {len(shown)} columns; on the last day, above {limit:g}: {', '.join(over) or 'none'}."
    said = (
        "How far the rows of the window that ends on a day are from those that the version was trained on.",
        "The population stability index is 0 where they are alike. A day alone is one weekday, one weather.",
    )
    drawn = Plot(
        "Population stability", plots.drift(shown, found, limit), told + cut(len(names), _MOST_FEATURES)
    )
    parts: list[Plot | Table] = [drawn, _drift_table(days, monitor, shown, source)]
    if PREDICTION in names:
        lines = {
            name: series(days, name, source=source, feature=PREDICTION, window=True)
            for name in ("psi", "jensen_shannon")
        }
        told = "Drift of the predictions themselves, against those on the training rows."
        parts.append(Plot("Predictions", plots.lines("drift", lines, limit), told))
    return [Section("Drift against the training rows", said, tuple(parts))]


def _drift_table(days: Days, monitor: Monitor, names: Sequence[str], source: Source) -> Table:
    head = ("column", "PSI, worst", "on", "PSI, last", "Jensen-Shannon", "missing", "change", "unseen")
    rows, bad = [], set()
    for nth, name in enumerate(names):
        psi = series(days, "psi", source=source, feature=name, window=True)
        worst = max(psi, key=lambda point: point.figure.value)
        last = {
            metric: points[-1].figure.value
            for metric in ("jensen_shannon", "missing_share", "missing_change", "unseen_share")
            if (points := series(days, metric, source=source, feature=name, window=True))
        }
        beyond = (
            psi[-1].figure.value > monitor.drift.psi
            or abs(last.get("missing_change", 0)) > monitor.drift.missing_share
            or last.get("unseen_share", 0) > monitor.drift.unseen_share
        )
        bad |= {nth} if beyond else set()
        shares = [
            f"{last[key]:.1%}" if key in last else ""
            for key in ("missing_share", "missing_change", "unseen_share")
        ]
        values = (number(worst.figure.value), str(worst.date), number(psi[-1].figure.value))
        rows.append((name, *values, number(last.get("jensen_shannon")), *shares))
    caption = (
        "Each column: the worst day, and the last; red is beyond a threshold of the job file on the last day"
    )
    return Table(caption, head, tuple(rows), numbers=frozenset({1, 3, 4, 5, 6, 7}), bad=frozenset(bad))


def skew(days: Days) -> Section:
    """Return how far the endpoint's rows are from the job's rows of the same key."""
    skewed = features(days, "skew_share", "online")
    parts: tuple[Plot | Table, ...] = ()
    if skewed:
        found = {
            name: series(days, "skew_share", source="online", feature=name) for name in skewed[:_SKEW_SHOWN]
        }
        worst = {name: max(found[name], key=lambda p: p.figure.value) for name in found}
        told = "; ".join(f"{name} {p.figure.value:.2%} on {p.date}" for name, p in worst.items())
        parts = (Plot("Share of rows that differ", plots.lines("share", found, None), f"Worst: {told}."),)
    said = (
        "The endpoint's rows beside the job's rows of the same key.",
        "Drawn is the share in which a column, or the prediction of the same version, is not the same.",
        *(() if skewed else ("No row was both answered online and scored by the job.",)),
    )
    return Section("Training and serving skew", said, parts)
