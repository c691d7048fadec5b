"""Whether an alert should stand, from the figures of the last days. Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evidence import LEAST_BLOCKS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batch_jobs.monitoring.declared import Alert
    from batch_jobs.monitoring.figures import DayFigures, Figure

# The feature of an alert that watches all of them: the one that is furthest beyond counts.
ANY = "any"


@dataclass(frozen=True)
class Standing:
    """What an alert is to do on a day: stand or not, by which value of which version, and why."""

    stands: bool
    version: int
    value: float
    said: str


def judge(alert: Alert, days: Mapping[dt.date, DayFigures], date: dt.date) -> Standing | None:
    """Judge an alert as of a day; None where the day has no such figure, and nothing can be said.

    Only days of the version that is busiest on that day count: a new version begins anew. An alert on the
    window stands once the version is on at least eight of `days`.
    """
    today = days.get(date)
    version = next(iter(today.versions(alert.source)), None) if today else None
    if version is None:
        return None
    since = date - dt.timedelta(days=alert.of - 1)
    figures = {
        day: figure
        for day, found in days.items()
        if since <= day <= date and (figure := _furthest(alert, found, version)) is not None
    }
    if date not in figures:
        return None
    beyond = sum(alert.is_beyond(figure.value) for figure in figures.values())
    value = figures[date].value
    said = (
        f"{alert.said}: {value:.4g} on {date}, beyond on {beyond} of {len(figures)} days"
        f" that are known since {since}, by version {version}"
    )
    # A window of a few days, as a new version has at first, is not yet what the alert is about.
    reigned = sum(version in found.versions(alert.source) for day, found in days.items() if day <= date)
    too_short = alert.over == "window" and reigned < LEAST_BLOCKS
    return Standing(beyond >= alert.days and not too_short, version, value, said)


def _furthest(alert: Alert, day: DayFigures, version: int) -> Figure | None:
    found = [each for each in day.figures if _is_watched(alert, each, version)]
    if not found:
        return None
    choose = max if alert.above is not None else min
    return choose(found, key=lambda each: each.value)


def _is_watched(alert: Alert, figure: Figure, version: int) -> bool:
    return (
        figure.metric == alert.metric
        and figure.source == alert.source
        and figure.model_version == version
        and figure.slice == alert.slice
        and (figure.feature == alert.feature or (alert.feature == ANY and figure.feature != ""))
        and (figure.days > 1) == (alert.over == "window")
    )
