"""The verb that watches a job: calls its modules, prints what came of it, returns an exit code.

What takes seconds to import is imported by the verb that needs it.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from batch_jobs.monitoring.alarms import Alarms
    from batch_jobs.monitoring.watch import DayReport, Watch

_SHOWN = ("auc", "log_loss", "rmse", "labelled_share", "drifted_features")


def monitor(options: argparse.Namespace) -> int:
    """Measure one day, or a span of days in their order; judge alerts as of each, and act."""
    from batch_jobs.errors import JobFileError
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
    try:
        for nth in range((last - first).days + 1):
            plain += _day(watch, alarms, first + dt.timedelta(days=nth), options)
        # A page for one day would be read by nobody: it is that of its month so far.
        _publish(watch, alarms, first if options.since else last.replace(day=1), last, options)
    finally:
        if options.json:
            print(json.dumps(plain, indent=2, default=str))
    return UNFIT if any("error" in each for each in plain) else 0


def _day(watch: Watch, alarms: Alarms, day: dt.date, options: argparse.Namespace) -> list[dict[str, object]]:
    """Monitor one day; print what came of it, and return it for JSON."""
    from batch_jobs.errors import UnfitDataError

    job = watch.job.name
    try:
        reports = watch.day(day)
    except UnfitDataError as error:
        print(f"batch_jobs: {job} {day}: {error}", file=sys.stderr)
        return [{"job": job, "date": day, "measured": False, "error": str(error)}]
    # Days before that did not change are no news.
    news = [report for report in reports if report.measured or report.date == day]
    for report in news:
        _tell(report, quiet=options.json)
    plain = [asdict(report) for report in news]
    if not options.no_alerts:
        plain[-1] |= _alarm(alarms, job, day, quiet=options.json)
    return plain


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


def _publish(watch: Watch, alarms: Alarms, since: dt.date, to: dt.date, options: argparse.Namespace) -> None:
    """Write the report and the figures for Prometheus, where the job or the command asks for them."""
    if options.prometheus:
        from batch_jobs.monitoring import prometheus

        days = watch.table.read(since, to)
        if days:
            body = prometheus.render(watch.job, days[max(days)], alarms.log.read())
            prometheus.write(Path(options.prometheus), body)
    if options.out or watch.monitor.report:
        from batch_jobs.monitoring.report.writing import publish

        out = Path(options.out) if options.out else None
        for where in publish(watch, alarms, since, to, os.environ, out):
            print(f"report: {where}", file=sys.stderr)


def _tell(report: DayReport, *, quiet: bool) -> None:
    """Print what came of a day; if `quiet`, only what is wrong with it."""
    for warning in report.warnings:
        print(f"batch_jobs: {report.job} {report.date}: warning: {warning}", file=sys.stderr)
    if not quiet:
        print(f"{report.job} {report.date}: {_say(report)}", flush=True)


def _say(report: DayReport) -> str:
    if not report.measured:
        return "nothing has changed since it was measured"
    shown = [
        f"version {each.model_version} {each.metric} {each.value:.4g}"
        for each in report.figures
        if each.source == "batch" and each.slice == "all" and each.days == 1 and each.metric in _SHOWN
    ]
    done = f"{len(report.figures)} figures as version {report.table_version} of {report.table}"
    return f"{', '.join(shown) or 'no outcomes yet'}; {done} ({report.seconds:.1f} s)"
