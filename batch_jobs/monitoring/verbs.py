"""The verbs that watch a job: each calls its module, prints what came of it, returns an exit code.

What takes seconds to import is imported by the verb that needs it.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from batch_jobs.monitoring.alarms import Alarms
    from batch_jobs.monitoring.watch import DayReport


def monitor(options: argparse.Namespace) -> int:
    """Measure one day, or a span of days, in their order."""
    from batch_jobs.errors import JobFileError, UnfitDataError
    from batch_jobs.exit_codes import UNFIT
    from batch_jobs.job import read_job

    job = read_job(options.job)
    first = options.date or options.since
    last = options.to or first
    if options.date and options.to:
        raise JobFileError("--to goes with --from; --date is one day")
    if last < first:
        raise JobFileError(f"The span ends {last}, before it begins; check --from and --to")
    import registry
    from batch_jobs.monitoring.alarms import Alarms
    from batch_jobs.monitoring.watch import Watch

    at_registry = registry.connect(os.environ)
    watch = Watch(job, at_registry, os.environ)
    alarms = Alarms(watch, at_registry, os.environ)
    plain: list[dict[str, object]] = []
    failed = False
    try:
        for day in (first + dt.timedelta(days=n) for n in range((last - first).days + 1)):
            try:
                reports = watch.day(day)
            except UnfitDataError as error:
                print(f"batch_jobs: {job.name} {day}: {error}", file=sys.stderr)
                plain.append({"job": job.name, "date": day, "measured": False, "error": str(error)})
                failed = True
                continue
            for report in reports:
                # Days before that did not change are no news.
                if report.measured or report.date == day:
                    tell(report, quiet=options.json)
                    plain.append(to_plain(report))
            plain[-1] |= _alarm(alarms, job.name, day, quiet=options.json)
    finally:
        if options.json:
            print(json.dumps(plain, indent=2, default=str))
    return UNFIT if failed else 0


def _alarm(alarms: Alarms, job: str, day: dt.date, *, quiet: bool) -> dict[str, object]:
    """Judge, tell and act as of a day that was measured; print it, and return it for JSON."""
    events = alarms.look(day)
    for event in events:
        print(f"batch_jobs: {job} {day}: {event.alert} {event.kind}: {event.said}", file=sys.stderr)
    for error in alarms.tell():
        print(f"batch_jobs: {job} {day}: warning: {error}", file=sys.stderr)
    retrained = alarms.act()
    for done in retrained if not quiet else ():
        print(f"{job} {day}: {done.said} ({done.seconds:.0f} s)", flush=True)
    return {"events": [e.to_plain() for e in events], "retrained": [asdict(done) for done in retrained]}


def tell(report: DayReport, *, quiet: bool) -> None:
    """Print what came of a day; if `quiet`, only what is wrong with it."""
    for warning in report.warnings:
        print(f"batch_jobs: {report.job} {report.date}: warning: {warning}", file=sys.stderr)
    if not quiet:
        print(f"{report.job} {report.date}: {say(report)}", flush=True)


def say(report: DayReport) -> str:
    """Say in a sentence what was measured of a day."""
    if not report.measured:
        return "nothing has changed since it was measured"
    shown = [
        f"version {each.model_version} {each.metric} {each.value:.4f}"
        for each in report.figures
        if each.source == "batch" and each.slice == "all" and each.days == 1 and each.metric in _SHOWN
    ]
    done = f"{len(report.figures)} figures as version {report.table_version} of {report.table}"
    return f"{', '.join(shown) or 'no outcomes yet'}; {done} ({report.seconds:.1f} s)"


def to_plain(report: DayReport) -> dict[str, object]:
    """Return a report as data for JSON."""
    return asdict(report)


_SHOWN = ("auc", "log_loss", "rmse", "labelled_share")
