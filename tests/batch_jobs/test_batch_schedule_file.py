"""What a job file says of its schedule, and what is due by it."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from batch_jobs.errors import JobFileError
from batch_jobs.job import read_job
from batch_jobs.live import LivePartition
from batch_jobs.scheduling.cron import parse_cron
from batch_jobs.scheduling.schedule import CAUSES, Schedule, parse_schedule
from batch_jobs.status import _CALLED, Day, State

UTC = ZoneInfo("UTC")
ZURICH = ZoneInfo("Europe/Zurich")
GOOD: dict[str, Any] = {"cron": "15 6 * * *", "timezone": "Europe/Zurich", "days_back": 7}
MONDAY = dt.datetime(2026, 11, 23, tzinfo=UTC)
LIVE = LivePartition({"model": "m", "model_version": 1}, "run", 1, 0)


def moments(cron: str, begin: dt.datetime, count: int) -> list[dt.datetime]:
    """Return the first moments of a line, as the scheduler asks for them."""
    trigger, found = parse_cron(cron, begin.tzinfo or UTC), []  # type: ignore[arg-type]  # all here are ZoneInfo
    moment, now = None, begin
    for _ in range(count):
        moment = trigger.get_next_fire_time(moment, now)
        now = moment + dt.timedelta(seconds=1)
        found.append(moment)
    return found


def test_the_job_in_the_repository_has_a_schedule() -> None:
    schedule = read_job("flight_delay").schedule
    assert schedule == Schedule("15 6 * * *", "America/New_York", 7, ("input",))
    assert read_job("diamond_price").schedule is None


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (None, "j.yaml: schedule: found None, expected keys and values"),
        ("15 6 * * *", "j.yaml: schedule: found '15 6 * * *', expected keys and values"),
        (
            {"cron": "15 6 * * *", "timezone": "UTC"},
            "j.yaml: schedule: the key 'days_back' is missing",
        ),
        ({**GOOD, "crn": 1}, "unknown key 'crn'; known are cron, timezone, days_back, rescore"),
        ({**GOOD, "cron": 15}, "cron is 15, expected minute, hour, day of month, month and day of week"),
        ({**GOOD, "cron": ""}, "as '15 6 * * mon-fri': it has 0 fields"),
        ({**GOOD, "cron": "@daily"}, "cron is '@daily', expected minute, hour"),
        ({**GOOD, "cron": "15 6 * *"}, "it has 4 fields"),
        ({**GOOD, "cron": "0 15 6 * * *"}, "it has 6 fields"),
        ({**GOOD, "cron": "61 6 * * *"}, "(61) is higher than the maximum value (59)"),
        ({**GOOD, "cron": "15 24 * * *"}, "(24) is higher than the maximum value (23)"),
        ({**GOOD, "cron": "15 6 * * 8"}, "cron is '15 6 * * 8'"),
        ({**GOOD, "cron": "15 6 * * 5-2"}, "the days 5-2 end before they begin"),
        ({**GOOD, "cron": "15 6 * * monday-fri"}, "cron is '15 6 * * monday-fri', expected minute"),
        ({**GOOD, "cron": "*/0 6 * * *"}, "cron is '*/0 6 * * *', expected minute"),
        ({**GOOD, "cron": "0 6 31 2 *"}, "there is no such day"),
        ({**GOOD, "cron": "0 6 1 * mon"}, "it names days of the month and days of the week, which"),
        ({**GOOD, "timezone": "Mars/Base"}, "timezone is 'Mars/Base', expected a name of the time zone"),
        ({**GOOD, "timezone": "../../etc/passwd"}, "timezone is '../../etc/passwd', expected a name"),
        ({**GOOD, "timezone": "Europe"}, "timezone is 'Europe', expected a name"),
        ({**GOOD, "timezone": 1}, "timezone is 1, expected a name"),
        ({**GOOD, "timezone": None}, "timezone is None, expected a name"),
        ({**GOOD, "days_back": -1}, "days_back is -1, expected a whole number of days, 0 to 36500"),
        ({**GOOD, "days_back": True}, "days_back is True, expected a whole number of days"),
        ({**GOOD, "days_back": 1.5}, "days_back is 1.5, expected a whole number of days"),
        ({**GOOD, "days_back": 10**9}, "days_back is 1000000000, expected a whole number"),
        ({**GOOD, "rescore": "input"}, "rescore is 'input', expected a list of some of input, version,"),
        ({**GOOD, "rescore": ["model"]}, "rescore is ['model'], expected a list of some of input, version"),
        ({**GOOD, "rescore": [["input"]]}, "rescore is [['input']], expected a list of some of"),
    ],
)
def test_a_wrong_schedule_is_refused_with_file_key_and_value(found: Any, says: str) -> None:
    with pytest.raises(JobFileError) as refused:
        parse_schedule(found, "batch_jobs/j.yaml: schedule")
    assert str(refused.value).startswith("batch_jobs/j.yaml: schedule: ")
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("cron", "days"),
    [
        ("0 6 * * 1", "Mon"),
        ("0 6 * * 0", "Sun"),
        ("0 6 * * 7", "Sun"),
        ("0 6 * * 1-5", "Mon Tue Wed Thu Fri"),
        ("0 6 * * 5-7", "Fri Sat Sun"),
        ("0 6 * * */2", "Tue Thu Sat Sun"),
        ("0 6 * * 3/2", "Wed Fri"),
        ("0 6 * * mon,4", "Mon Thu"),
        ("0 6 * * SAT-SUN", "Sat Sun"),
    ],
)
def test_days_of_the_week_are_those_of_crontab(cron: str, days: str) -> None:
    found = {f"{moment:%a}" for moment in moments(cron, MONDAY, 14)}
    assert found == set(days.split())


@pytest.mark.parametrize("begin", [dt.datetime(2026, 10, 24), dt.datetime(2027, 3, 27)])  # noqa: DTZ001
def test_hours_stay_those_of_the_time_zone_when_clocks_change(begin: dt.datetime) -> None:
    found = moments("15 6 * * *", begin.replace(tzinfo=ZURICH), 3)
    assert [f"{each:%H:%M}" for each in found] == ["06:15"] * 3
    assert [each.day for each in found] == [begin.day, begin.day + 1, begin.day + 2]
    assert len({each.utcoffset() for each in found}) == 2


def test_days_are_counted_back_in_the_time_zone() -> None:
    late = dt.datetime(2026, 11, 22, 23, 30, tzinfo=dt.UTC)
    assert parse_schedule(GOOD, "f").since(late) == dt.date(2026, 11, 16)
    assert parse_schedule({**GOOD, "timezone": "UTC"}, "f").since(late) == dt.date(2026, 11, 15)
    assert parse_schedule({**GOOD, "days_back": 0}, "f").since(late) == dt.date(2026, 11, 23)


def test_each_cause_that_status_names_can_be_declared() -> None:
    assert frozenset().union(*CAUSES.values()) == set(_CALLED.values())


def day(*changed: str, live: LivePartition | None = LIVE, delivered: bool = True) -> Day:
    wanted = {"snapshot_digest": "digest"} if delivered else {}
    return Day(dt.date(2026, 11, 22), State.STALE, live, changed, wanted)


@pytest.mark.parametrize(
    ("rescore", "found", "due"),
    [
        (["input"], day(live=None), True),
        ([], day(live=None), True),
        (["input"], day(), False),
        (["input"], day("input"), True),
        (["input"], day("input", "version in Production"), True),
        (["input"], day("version in Production", "artifact", "suites or limits", "code"), False),
        ([], day("input"), False),
        (["version"], day("version in Production", "artifact"), True),
        (["version"], day("model"), True),
        (["rules"], day("suites or limits"), True),
        (["code"], day("code"), True),
        (["input", "version", "rules", "code"], day("input", delivered=False), False),
    ],
)
def test_due_is_what_is_missing_and_what_changed_as_declared(
    rescore: list[str],
    found: Day,
    due: bool,  # noqa: FBT001
) -> None:
    assert parse_schedule({**GOOD, "rescore": rescore}, "f").is_due(found) is due
