"""The verbs of `python -m batch_jobs`: each calls its module, prints what came of it, returns an exit code.

What takes seconds to import is imported by the verb that needs it.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from batch_jobs.job import BatchJob
    from batch_jobs.workplace import Progress, RunReport

_REASONS_SHOWN = 5


def run(options: argparse.Namespace) -> int:
    """Score one day, or a span of days one after the other."""
    from batch_jobs.errors import JobFileError
    from batch_jobs.job import read_job

    # Before what takes seconds to import: a misspelt job should not wait for it.
    job = read_job(options.job)
    last = options.to or options.since
    if last < options.since:
        raise JobFileError(f"The span ends {last}, before it begins; check --from and --to")
    days = [options.since + dt.timedelta(days=n) for n in range((last - options.since).days + 1)]
    return _score(job, days, options)


def rescore(options: argparse.Namespace) -> int:
    """Score again each day that some version scored."""
    from batch_jobs.job import read_job
    from batch_jobs.live import live_partitions
    from storage import S3Settings, Store, data_uri

    job = read_job(options.job)
    settings = S3Settings.from_environment(os.environ)
    live = live_partitions(data_uri(job.output, os.environ), Store.connect(settings), settings)
    days = [day for day in sorted(live) if live[day].plan["model_version"] == options.version]
    if not days:
        print(f"No day of {job.name} is of version {options.version}; nothing to do", file=sys.stderr)
        return 0
    return _score(job, days, options)


def status(options: argparse.Namespace) -> int:
    """Say which days are published, and which are missing or stale."""
    from batch_jobs.job import read_job
    from batch_jobs.status import State, find_days, to_plain
    from storage import S3Settings, Store, data_uri

    job = read_job(options.job)
    import registry
    from batch_jobs.plan import plan_of, read_rules

    settings = S3Settings.from_environment(os.environ)
    at_registry = registry.connect(os.environ)
    version = registry.resolve(at_registry, job.model)
    days = find_days(
        data_uri(job.input, os.environ),
        data_uri(job.output, os.environ),
        plan_of(job, version, read_rules(job)),
        Store.connect(settings),
        settings,
        options.since,
        options.to,
    )
    if options.json:
        print(json.dumps([to_plain(day) for day in days], indent=2, default=str))
        return 0
    for day in days:
        print(f"{day.date}  {day}")
    counts = {state: sum(day.state is state for day in days) for state in State}
    said = ", ".join(f"{count:,} {state}" for state, count in counts.items() if count)
    print(f"{job.name}: {said or 'no day has input, and none is published'}; {version.name} version", end=" ")
    print(f"{version.version} is to score")
    return 0


def vacuum(options: argparse.Namespace) -> int:
    """Delete files that no reader and no run can need any more."""
    from batch_jobs.job import read_job
    from storage import S3Settings, data_uri, vacuum

    job = read_job(options.job)
    table_uri = data_uri(job.output, os.environ)
    settings = S3Settings.from_environment(os.environ)
    gone = vacuum(table_uri, dt.timedelta(days=options.days), settings, dry_run=options.dry_run)
    for path in gone if options.dry_run else ():
        print(f"  {path}")
    done = "would be deleted" if options.dry_run else "deleted"
    print(f"{len(gone):,} files below {table_uri} that nothing has named for {options.days} days {done}")
    return 0


def _score(job: BatchJob, days: Sequence[dt.date], options: argparse.Namespace) -> int:
    import registry
    from batch_jobs.engines.local import Threads
    from batch_jobs.errors import UnfitDataError
    from batch_jobs.plan import read_rules
    from batch_jobs.run import run_partition
    from batch_jobs.workplace import Workplace
    from storage import S3Settings, Store, UnreadableFileError

    read_rules(job)
    settings = S3Settings.from_environment(os.environ)
    workers = options.workers or os.cpu_count() or 1
    store, done, failed = Store.connect(settings), [], False
    with _progress(len(days)) as progress:
        at_registry = registry.connect(os.environ)
        scorer = registry.load(at_registry, job.model).side_by_side()
        # `mlflow run -e score` has started a run for its one day.
        run_id = os.environ.get("MLFLOW_RUN_ID") if len(days) == 1 else None
        try:
            for day in days:
                at = Workplace(
                    registry=at_registry,
                    store=store,
                    settings=settings,
                    environment=os.environ,
                    progress=progress(day),
                    engine=Threads(workers),
                    workers=workers,
                    run_id=run_id,
                )
                try:
                    report = run_partition(job, day, scorer, at)
                except (UnfitDataError, UnreadableFileError) as error:
                    # One unfit day does not keep the others waiting.
                    failed = True
                    print(f"batch_jobs: {job.name} {day}: {error}", file=sys.stderr)
                    done.append({"job": job.name, "date": day, "published": False, "error": str(error)})
                else:
                    done.append(asdict(report))
                    _print(report, quiet=options.json)
        finally:
            # Whatever ends a backfill, what was published by then is told.
            if options.json:
                print(json.dumps(done, indent=2, default=str))
    return 3 if failed else 0


def _print(report: RunReport, *, quiet: bool) -> None:
    for warning in report.warnings:
        print(f"batch_jobs: {report.job} {report.date}: warning: {warning}", file=sys.stderr)
    if quiet:
        return
    done = f"published as version {report.table_version} of {report.table}"
    print(
        f"{report.job} {report.date}: {report.rows:,} rows = {report.scored:,} scored"
        f" + {report.quarantined:,} quarantined, by {report.model} version {report.model_version};"
        f" {done if report.published else 'nothing to do'} ({report.seconds:.1f} s)",
        flush=True,
    )
    if report.resumed_splits:
        print(
            f"  went on with {report.resumed_splits} parts of the input that were scored before", flush=True
        )
    for reason, count in list(report.reasons.items())[:_REASONS_SHOWN]:
        print(f"  {count:,} rows: {reason}", flush=True)


@contextmanager
def _progress(days: int) -> Iterator[Callable[[dt.date], Callable[[Progress], None]]]:
    """Show a bar on a terminal, nothing in a pipe: rows a second, time left, rows set aside."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(compact=True))
    with Bars(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task("Loading the model", total=days)
        number = 0

        def of(day: dt.date) -> Callable[[Progress], None]:
            nonlocal number
            before, began = number, time.monotonic()
            number += 1
            bars.update(task, description=f"Scoring {day}", completed=before)

            def show(found: Progress) -> None:
                rows = found.scored + found.quarantined
                speed = rows / max(time.monotonic() - began, 1e-9)
                said = f"Scoring {day}: {rows:,} rows, {speed:,.0f} a second, {found.quarantined:,} set aside"
                done = before + found.done_bytes / max(found.of_bytes, 1)
                bars.update(task, description=said, completed=done)

            return show

        yield of
