"""Catching up: the days of a job that are due are scored. What is unfit is noted beside the table.

A day is not tried again while all that it would be scored from is as it was: the note is named by that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import registry
from batch_jobs.days import score_days
from batch_jobs.exit_codes import UNFIT
from batch_jobs.partition import Provenance
from batch_jobs.plan import plan_of, read_rules
from batch_jobs.scheduling.events import Event, Kind
from batch_jobs.status import State, find_days
from batch_jobs.telling import say, to_plain
from storage import STAGING, Notes, data_uri

if TYPE_CHECKING:
    import datetime as dt
    import threading
    from collections.abc import Iterator

    from batch_jobs.job import BatchJob
    from batch_jobs.scheduling.schedule import Schedule
    from batch_jobs.status import Day
    from batch_jobs.workplace import RunReport, Workplace

_NOT_AGAIN = "not tried again until its input, the suites, the limits or the version change"


def catch_up(
    job: BatchJob, schedule: Schedule, now: dt.datetime, at: Workplace, at_once: int, stop: threading.Event
) -> Iterator[Event]:
    """Score the days that are due; yield what happens. Raises what `score_days` raises."""
    version = registry.resolve(at.registry, job.model)
    plan = plan_of(job, version, read_rules(job))
    table_uri, since = data_uri(job.output, at.environment), schedule.since(now)
    input_uri = data_uri(job.input, at.environment)
    days = find_days(input_uri, table_uri, plan, at.store, at.settings, since)
    notes = Notes(at.store, f"{table_uri}/{STAGING}/unfit")
    due = {day.date: day for day in days if schedule.is_due(day)}
    known = {date: note for date, day in due.items() if (note := notes.get(_name(day))) is not None}
    wanted = [date for date in due if date not in known]
    left = sum(day.state is State.STALE and day.date not in due for day in days)
    said = f"{len(wanted)} days since {since} to score with {version.name} version {version.version}"
    said += f"; {len(known)} unfit as before" if known else ""
    said += f"; {left} stale and left as they are, see status" if left else ""
    yield Event(Kind.TICK, job.name, said)
    for date, note in known.items():
        yield Event(Kind.UNFIT, job.name, f"as before, {_NOT_AGAIN}: {note['error']}", date, UNFIT)
    if not wanted:
        return
    scorer = registry.load(at.registry, version).side_by_side()
    for date, came in score_days(job, wanted, scorer, at, at_once=at_once, watch=lambda *_: None, stop=stop):
        if isinstance(came, Exception):
            found = at.store.snapshot(input_uri.replace("{date}", str(date)))
            # Replaced since it was listed, it may be the new input that is unfit, and not the one noted.
            if found.digest == due[date].wanted["snapshot_digest"]:
                notes.put_new(_name(due[date]), {"error": str(came)})
            yield Event(
                Kind.UNFIT, job.name, f"{came}; {_NOT_AGAIN}", date, UNFIT, to_plain(job.name, date, came)
            )
        else:
            yield from _told(came)


def _told(report: RunReport) -> Iterator[Event]:
    for warning in report.warnings:
        yield Event(Kind.WARNING, report.job, warning, report.date)
    kind = Kind.PUBLISHED if report.published else Kind.CURRENT
    yield Event(kind, report.job, say(report), report.date, figures=to_plain(report.job, report.date, report))


def _name(day: Day) -> str:
    return Provenance(date=day.date, run_id="", **day.wanted).plan_digest
