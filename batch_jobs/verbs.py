"""The verbs of `python -m batch_jobs`: each calls its module, prints what came of it, returns an exit code.

What takes seconds to import is imported by the verb that needs it.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from batch_jobs.job import BatchJob


def run(options: argparse.Namespace) -> int:
    """Score one day, or a span of days."""
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
    from batch_jobs.days import AT_ONCE, score_days
    from batch_jobs.engines import start
    from batch_jobs.exit_codes import UNFIT
    from batch_jobs.plan import read_rules
    from batch_jobs.telling import shown_progress, tell, to_plain
    from batch_jobs.workplace import Workplace

    read_rules(job)
    workers = options.workers or os.cpu_count() or 1
    at_once = min(options.days_at_once or AT_ONCE, len(days))
    # `mlflow run -e score` has started a run for its one day.
    run_id = os.environ.get("MLFLOW_RUN_ID") if len(days) == 1 else None
    at = Workplace.connect(os.environ, start(options.engine, workers, os.environ), workers, run_id)
    done, failed = {}, False
    with shown_progress(len(days)) as show:
        scorer = registry.load(at.registry, job.model).side_by_side()
        try:
            for day, came in score_days(job, days, scorer, at, at_once=at_once, watch=show):
                show(day, None)
                tell(job.name, day, came, quiet=options.json)
                done[day] = to_plain(job.name, day, came)
                failed = failed or isinstance(came, Exception)
        finally:
            # Whatever ends a backfill, what was published by then is told.
            if options.json:
                print(json.dumps([done[day] for day in sorted(done)], indent=2, default=str))
    return UNFIT if failed else 0
