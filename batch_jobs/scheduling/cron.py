"""Cron lines, read as crontab(5), Kubernetes and Airflow read them. Pure."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from apscheduler.triggers.cron import CronTrigger

_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NUMBERED = re.compile(r"(?:\*|(?P<first>[0-7])(?:-(?P<last>[0-7]))?)(?:/(?P<step>[1-7]))?")


def parse_cron(text: str, zone: ZoneInfo) -> CronTrigger:
    """Return the moments that a line of five fields names. Raises `ValueError` that says what is wrong."""
    from apscheduler.triggers.cron import CronTrigger

    fields = text.split()
    if len(fields) != len(("minute", "hour", "day of month", "month", "day of week")):
        raise ValueError(f"it has {len(fields)} fields")
    if "*" not in (fields[2][:1], fields[4][:1]):
        # Cron takes either day, APScheduler only where both agree.
        raise ValueError("it names days of the month and days of the week, which schedulers read differently")
    fields[4] = ",".join(map(_weekdays, fields[4].split(",")))
    trigger = CronTrigger.from_crontab(" ".join(fields), zone)
    if trigger.get_next_fire_time(None, dt.datetime(2000, 1, 1, tzinfo=zone)) is None:
        raise ValueError("there is no such day")
    return trigger


def _weekdays(item: str) -> str:
    """Name the days that stand as numbers: cron counts from Sunday, APScheduler from Monday."""
    found = _NUMBERED.fullmatch(item)
    if found is None or item == "*":
        return item
    first = int(found["first"] or 0)
    last = int(found["last"] or (6 if found["first"] is None or found["step"] else first))
    numbers = range(first, last + 1, int(found["step"] or 1))
    if not numbers:
        raise ValueError(f"the days {item} end before they begin")
    return ",".join(_WEEKDAYS[number % 7] for number in numbers)
