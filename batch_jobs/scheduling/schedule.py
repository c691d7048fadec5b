"""When a job is caught up, how far back, and which days are due then. Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from batch_jobs.errors import JobFileError
from batch_jobs.parsing import exactly
from batch_jobs.scheduling.cron import parse_cron

if TYPE_CHECKING:
    from apscheduler.triggers.cron import CronTrigger

    from batch_jobs.status import Day

# What may have changed since a day was published, as a job file and as `status` call it.
CAUSES = {
    "input": frozenset({"input", "repairs"}),
    "version": frozenset({"model", "version in Production", "artifact"}),
    "rules": frozenset({"suites or limits"}),
    "code": frozenset({"code"}),
}
_MOST_DAYS_BACK = 36_500


@dataclass(frozen=True)
class Schedule:
    """The fields are the keys below `schedule` of a job file; days and hours are those of `timezone`.

    `rescore` names what, if it has changed, makes a published day due again.
    """

    cron: str
    timezone: str
    days_back: int
    rescore: tuple[str, ...] = ("input",)

    @property
    def trigger(self) -> CronTrigger:
        """The moments at which the job is caught up."""
        return parse_cron(self.cron, ZoneInfo(self.timezone))

    def since(self, now: dt.datetime) -> dt.date:
        """Return the first day that is looked at. There is no last: what was delivered is to be scored."""
        return now.astimezone(ZoneInfo(self.timezone)).date() - dt.timedelta(days=self.days_back)

    def is_due(self, day: Day) -> bool:
        """Say whether a day is to be scored without anybody asking."""
        if not day.wanted:
            return False
        causes = frozenset[str]().union(*(CAUSES[name] for name in self.rescore))
        return day.live is None or not causes.isdisjoint(day.changed)

    def __str__(self) -> str:
        return f"{self.cron} {self.timezone}, {self.days_back} days back"


def parse_schedule(found: Any, where: str) -> Schedule:
    """Check what a job file says below `schedule`. Raises `JobFileError` naming file, key and value."""
    given = exactly(found, ("cron", "timezone", "days_back"), where, optional=("rescore",))
    cron, timezone, days_back = given["cron"], given["timezone"], given["days_back"]
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        raise JobFileError(
            f"{where}: timezone is {timezone!r}, expected a name of the time zone database, as Europe/Zurich"
        ) from None
    expected = "expected minute, hour, day of month, month and day of week, as '15 6 * * mon-fri'"
    if not isinstance(cron, str):
        raise JobFileError(f"{where}: cron is {cron!r}, {expected}")
    try:
        parse_cron(cron, zone)
    except ValueError as error:
        raise JobFileError(f"{where}: cron is {cron!r}, {expected}: {error}") from error
    if isinstance(days_back, bool) or not isinstance(days_back, int) or not 0 <= days_back <= _MOST_DAYS_BACK:
        raise JobFileError(
            f"{where}: days_back is {days_back!r}, expected a whole number of days, 0 to {_MOST_DAYS_BACK}"
        )
    return Schedule(cron, timezone, days_back, _rescore(given.get("rescore", ["input"]), where))


def _rescore(found: Any, where: str) -> tuple[str, ...]:
    if not isinstance(found, list) or not all(isinstance(cause, str) and cause in CAUSES for cause in found):
        raise JobFileError(f"{where}: rescore is {found!r}, expected a list of some of {', '.join(CAUSES)}")
    return tuple(found)
