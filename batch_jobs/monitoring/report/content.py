"""What the report says: its tiles, sections, plots and tables, from figures and events. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from batch_jobs.monitoring.names import ALL, DRIFTED, QUALITY
from batch_jobs.monitoring.report import plots
from batch_jobs.monitoring.report.moved import drift, skew
from batch_jobs.monitoring.report.page import Plot, Section, Table, Tile
from batch_jobs.monitoring.report.series import calibration, reigns, series, slices
from batch_jobs.monitoring.report.wording import cut, number, span

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from batch_jobs.monitoring.alerts.events import AlertEvent
    from batch_jobs.monitoring.declared import Monitor, Source
    from batch_jobs.monitoring.figures import DayFigures, Figure
    from batch_jobs.monitoring.report.series import Bin, Point, Reign

    Days = Mapping[dt.date, DayFigures]

_MOST_SLICES = 40
_MOST_EVENTS = 60


def tiles(days: Days, monitor: Monitor, events: Sequence[AlertEvent]) -> list[Tile]:
    """Return what is seen first: the newest of each."""
    found = []
    (metric, *_) = QUALITY[monitor.outcomes.task]
    windows = series(days, metric, window=True)
    if windows:
        of = windows[-1].figure
        found.append(
            Tile(f"{metric}, {of.days} days", number(of.value), f"{span(of)} until {windows[-1].date}")
        )
    scored = series(days, "scored")
    if scored:
        of = scored[-1].figure
        found.append(
            Tile("scored", f"{of.value:,.0f}", f"by version {of.model_version} on {scored[-1].date}")
        )
    total = sum(point.figure.value for point in scored)
    aside = sum(point.figure.value for point in series(days, "quarantined"))
    if total + aside:
        found.append(
            Tile("quarantined", f"{aside / (total + aside):.2%}", f"{aside:,.0f} rows of the period")
        )
    drifted = series(days, DRIFTED, window=True)
    if drifted:
        value = drifted[-1].figure.value
        found.append(Tile("drifted features", f"{value:.0f}", f"on {drifted[-1].date}", is_bad=value > 0))
    stand = standing(events)
    names = ", ".join(event.alert for event in stand) or "none stands"
    return [*found, Tile("alerts", str(len(stand)), names, is_bad=bool(stand))]


def standing(events: Sequence[AlertEvent]) -> list[AlertEvent]:
    """Return the last event of each alert that stands."""
    last = {event.alert: event for event in events}
    return [event for event in last.values() if event.kind == "fired"]


def sections(
    monitor: Monitor,
    days: Days,
    events: Sequence[AlertEvent],
    done: Mapping[str, dict[str, Any]],
) -> list[Section]:
    """Return all sections; `done` says of events, by name, what a retraining came to."""
    found = [_quality(days, monitor, events), _alerts(monitor, events, done), *_calibrations(days, monitor)]
    found += [*drift(days, monitor), *_slices(days, monitor), _volumes(days)]
    if monitor.exposures:
        found += [_quality(days, monitor, (), "online"), skew(days)]
    return [each for each in found if each.parts or each.said]


def _quality(days: Days, monitor: Monitor, events: Sequence[AlertEvent], source: Source = "batch") -> Section:
    reigning = reigns(days, source)
    said = (
        "A dot is a day; the line is the window of days that ends there, with its 95 % interval.",
        "For the interval, days are resampled whole. The ground changes where another version took over.",
    )
    parts = []
    for metric in QUALITY[monitor.outcomes.task]:
        daily, windows = (series(days, metric, source=source, window=window) for window in (False, True))
        if not daily:
            continue
        watched = {
            alert.name: alert.above if alert.above is not None else (alert.below or 0.0)
            for alert in monitor.alerts
            if alert.metric == metric and alert.slice == ALL and alert.source == source
        }
        fired = [event.date for event in events if event.kind == "fired" and event.alert in watched]
        svg = plots.quality(
            metric, daily, windows, reigning, watched, [date for date in fired if date in days]
        )
        parts.append(Plot(metric, svg, _told(metric, daily, windows, reigning)))
    title = "Quality over time" if source == "batch" else "Quality of online answers"
    return Section(title, said if parts else ("No outcomes are known yet.",), tuple(parts))


def _told(metric: str, daily: Sequence[Point], windows: Sequence[Point], reigning: Sequence[Reign]) -> str:
    values = [point.figure.value for point in daily]
    reigned = "; ".join(f"version {r.version} {r.first} to {r.last}" for r in reigning)
    window = ""
    if windows:
        first, last = windows[0], windows[-1]
        window = (
            f" Over the window it went from {number(first.figure.value)} on {first.date} to"
            f" {number(last.figure.value)} ({span(last.figure)}) on {last.date}."
        )
    return f"{metric} by day: {number(min(values))} to {number(max(values))}.{window} Reigns: {reigned}."


def _alerts(monitor: Monitor, events: Sequence[AlertEvent], done: Mapping[str, dict[str, Any]]) -> Section:
    stand = {event.name for event in standing(events)}
    declared = Table(
        "Declared",
        ("alert", "severity", "does", "watches"),
        tuple((each.name, each.severity, each.action, each.said) for each in monitor.alerts),
    )
    newest = sorted(events, key=lambda event: (event.date, event.number), reverse=True)
    shown = newest[:_MOST_EVENTS]
    happened = Table(
        f"What happened, the newest first{cut(len(newest), _MOST_EVENTS)}",
        ("as of", "alert", "", "why"),
        tuple((str(event.date), event.alert, event.kind, _why(event, done)) for event in shown),
        whole=frozenset({0}),
        bad=frozenset(nth for nth, event in enumerate(shown) if event.name in stand),
    )
    if not monitor.alerts:
        return Section("Alerts", ("No alerts are declared.",))
    said = () if events else ("No alert has fired in this period.",)
    return Section("Alerts", said, (happened, declared) if events else (declared,))


def _why(event: AlertEvent, done: Mapping[str, dict[str, Any]]) -> str:
    return f"{event.said}. Retrained: {done[event.name]['said']}" if event.name in done else event.said


def _calibrations(days: Days, monitor: Monitor) -> list[Section]:
    if monitor.outcomes.task != "classification":
        return []
    versions = dict.fromkeys(reign.version for reign in reigns(days))
    bins = {version: found for version in versions if (found := calibration(days, version))}
    if not bins:
        return []
    far = {version: max(found, key=_surely_off) for version, found in bins.items()}
    told = " ".join(
        f"Version {version}: where {each.predicted:.2f} was predicted, {each.observed:.2f} came true"
        f" ({each.low:.2f} to {each.high:.2f})."
        for version, each in far.items()
    )
    said = ("Predictions in tenths, all days of the period together; bars are 95 % intervals by days.",)
    return [
        Section(
            "Calibration", said, (Plot("What came true", plots.calibration(bins), f"Furthest off: {told}"),)
        )
    ]


def _surely_off(each: Bin) -> float:
    """Return how far a prediction is outside the interval of what came true; a wide one says little."""
    gap = max(each.low - each.predicted, each.predicted - each.high)
    return -math.inf if math.isnan(gap) else gap


def _slices(days: Days, monitor: Monitor) -> list[Section]:
    metrics = QUALITY[monitor.outcomes.task][:2]
    found = {metric: {each.slice: each for each in slices(days, metric)} for metric in metrics}
    names = list(found[metrics[0]])
    if not names:
        return []
    rows = tuple(
        (
            name,
            f"{found[metrics[0]][name].rows:,}",
            *(cell for metric in metrics for cell in _with_interval(found[metric].get(name))),
        )
        for name in names[:_MOST_SLICES]
    )
    head = ("slice", "rows", *(cell for metric in metrics for cell in (metric, "interval")))
    table = Table(
        f"The largest first{cut(len(names), _MOST_SLICES)}",
        head,
        rows,
        frozenset({1, 2, 4}),
        frozenset({3, 5}),
    )
    said = ("Over the newest window. The intervals hold for all slices at once.",)
    return [Section("Slices", said, (table,))]


def _volumes(days: Days) -> Section:
    scored, aside, labelled = (series(days, name) for name in ("scored", "quarantined", "labelled"))
    if not scored:
        return Section("Volumes and quarantine", ("No day of this period was measured.",))
    total, bad = (sum(point.figure.value for point in points) for points in (scored, aside))
    told = (
        f"{total:,.0f} rows were scored and {bad:,.0f} quarantined on {len(scored)} days; outcomes of"
        f" {sum(point.figure.value for point in labelled):,.0f} are known."
    )
    outcomes = tuple(
        (name.removeprefix("outcomes_"), f"{sum(p.figure.value for p in series(days, name)):,.0f}", meaning)
        for name, meaning in _OUTCOMES.items()
    )
    worst = sorted((p for p in aside if p.figure.value), key=lambda p: -p.figure.value)[:10]
    tables = [
        Table("Outcomes that were not simply joined", ("", "rows", "what that is"), outcomes, frozenset({1}))
    ]
    if worst:
        days_of = tuple((str(p.date), f"{p.figure.value:,.0f}") for p in worst)
        tables.append(
            Table("The days with the most quarantined rows", ("day", "rows"), days_of, frozenset({1}))
        )
    picture = Plot("Rows a day", plots.volumes(scored, aside, labelled), told)
    return Section("Volumes and quarantine", (), (picture, *tables))


_OUTCOMES = {
    "outcomes_repeated": "the same outcome of a row again; it counts once",
    "outcomes_contradicted": "outcomes of a row that differ; none of them counts",
    "outcomes_unusable": "no key, or no number: a cancelled flight never arrives",
    "outcomes_unmatched": "of rows that were not scored",
}


def _with_interval(figure: Figure | None) -> tuple[str, str]:
    return ("", "") if figure is None else (number(figure.value), span(figure))
