"""Whether an alert should stand, from the figures of the last days. Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

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

    Only days of the version that is busiest on that day count: a new version begins anew.
    """
    today = days.get(date)
    version = next(iter(today.versions(alert.source)), None) if today else None
    if version is None:
        return None
    since = date - dt.timedelta(days=alert.of - 1)
    values = {
        day: value
        for day, found in days.items()
        if since <= day <= date and (value := _value(alert, found, version)) is not None
    }
    if date not in values:
        return None
    beyond = sum(map(alert.is_beyond, values.values()))
    value = values[date]
    said = (
        f"{alert.said}: {value:.4g} on {date}, beyond on {beyond} of {len(values)} days"
        f" that are known since {since}, by version {version}"
    )
    return Standing(beyond >= alert.days, version, value, said)


def _value(alert: Alert, day: DayFigures, version: int) -> float | None:
    values = [each.value for each in day.figures if _is_watched(alert, each, version)]
    if not values:
        return None
    return max(values) if alert.above is not None else min(values)


def _is_watched(alert: Alert, figure: Figure, version: int) -> bool:
    return (
        figure.metric == alert.metric
        and figure.source == alert.source
        and figure.model_version == version
        and figure.slice == alert.slice
        and (figure.feature == alert.feature or (alert.feature == ANY and figure.feature != ""))
        and (figure.days > 1) == (alert.over == "window")
    )
