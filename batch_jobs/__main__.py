"""`python -m batch_jobs`: score one day, or a span of days."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import sys
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from batch_jobs.run import RunReport

_EXAMPLES = """examples:
  python -m batch_jobs run flight_delay --date 2013-07-01
  python -m batch_jobs backfill flight_delay --from 2013-07-01 --to 2013-07-07

exit codes: 0 published or nothing to do, 2 usage, 3 unfit data, 4 nothing on stage, 75 try again, 1 other
settings are environment variables: docs/settings.md"""


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    from registry import prepare_client

    prepare_client(os.environ)
    # MLflow would print links between our lines, and into our JSON.
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    from batch_jobs.errors import JobError, JobFileError
    from expectations import SuiteError
    from registry import NothingOnStageError, RegistryError, RegistryUnavailableError, UnknownVersionError
    from storage import CommitConflictError, StorageError, StorageUnavailableError

    try:
        return _run(options)
    except KeyboardInterrupt:
        return _fail("interrupted; days that were told are published; run it again", 130)
    except (CommitConflictError, StorageUnavailableError, RegistryUnavailableError) as error:
        return _fail(error, 75)
    except NothingOnStageError as error:
        return _fail(error, 4)
    except (JobFileError, SuiteError, UnknownVersionError) as error:
        return _fail(error, 2)
    except (JobError, RegistryError, StorageError) as error:
        return _fail(error, 1)


def _run(options: argparse.Namespace) -> int:
    from batch_jobs.errors import JobFileError, UnfitDataError
    from batch_jobs.job import read_job

    # Before what takes seconds to import: a misspelt job should not wait for it.
    job = read_job(options.job)
    last = options.to or options.since
    if last < options.since:
        raise JobFileError(f"The span ends {last}, before it begins; check --from and --to")
    import registry
    from batch_jobs.run import Workplace, read_rules, run_partition
    from expectations import UnreadableError
    from storage import S3Settings, Store, UnreadableFileError

    read_rules(job)
    days = [options.since + dt.timedelta(days=n) for n in range((last - options.since).days + 1)]
    settings = S3Settings.from_environment(os.environ)
    store, done = Store.connect(settings), []
    failed = False
    with _progress() as progress:
        progress("Loading the model", 0, len(days))
        at_registry = registry.connect(os.environ)
        scorer = registry.load(at_registry, job.model)
        # `mlflow run -e score` has started a run for its one day.
        run_id = os.environ.get("MLFLOW_RUN_ID") if len(days) == 1 else None
        try:
            for number, day in enumerate(days):

                def read(read_bytes: int, of: int, *, day: dt.date = day, number: int = number) -> None:
                    progress(f"Scoring {day}", number + read_bytes / max(of, 1), len(days))

                at = Workplace(at_registry, store, settings, os.environ, read, run_id)
                try:
                    report = run_partition(job, day, scorer, at)
                except (UnfitDataError, UnreadableFileError, UnreadableError) as error:
                    # One unfit day does not keep the others waiting.
                    failed = True
                    _fail(f"{job.name} {day}: {error}", 3)
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
    if quiet:
        return
    done = f"published as version {report.table_version} of {report.table}"
    print(
        f"{report.job} {report.date}: {report.rows:,} rows = {report.scored:,} scored"
        f" + {report.quarantined:,} quarantined, by {report.model} version {report.model_version};"
        f" {done if report.published else 'nothing to do'} ({report.seconds:.1f} s)",
        flush=True,
    )
    for reason, count in list(report.reasons.items())[:5]:
        print(f"  {count:,} rows: {reason}", flush=True)


@contextmanager
def _progress() -> Iterator[Callable[[str, float, int], None]]:
    """Show a bar on a terminal, nothing in a pipe."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Starting", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)


def _fail(error: object, code: int) -> int:
    print(f"batch_jobs: {error}", file=sys.stderr)
    return code


def _date(text: str) -> dt.date:
    try:
        return dt.datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=dt.UTC).date()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date; expected YYYY-MM-DD") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m batch_jobs",
        description="Score partitions of S3 data with the version in Production, exactly once.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("job", help="a file batch_jobs/JOB.yaml")
    common.add_argument("--json", action="store_true", help="print JSON for machines")

    verb = verbs.add_parser("run", allow_abbrev=False, parents=[common], help="score one day")
    verb.add_argument(
        "--date", dest="since", type=_date, required=True, metavar="DATE", help="the day, YYYY-MM-DD"
    )
    verb.set_defaults(to=None)

    verb = verbs.add_parser(
        "backfill", allow_abbrev=False, parents=[common], help="score a span of days, both ends included"
    )
    verb.add_argument("--from", dest="since", type=_date, required=True, metavar="DATE")
    verb.add_argument("--to", type=_date, required=True, metavar="DATE")
    return parser


if __name__ == "__main__":
    sys.exit(main())
