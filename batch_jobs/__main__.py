"""`python -m batch_jobs`: score one day, or a span of days."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import sys

from batch_jobs import verbs
from batch_jobs.engines import ENGINES
from batch_jobs.mending import verbs as mending
from batch_jobs.monitoring import verbs as monitoring
from batch_jobs.scheduling import verb as scheduling

_EXAMPLES = """examples:
  python -m batch_jobs run flight_delay --date 2013-07-01
  python -m batch_jobs backfill flight_delay --from 2013-07-01 --to 2013-07-07
  python -m batch_jobs status flight_delay --from 2013-07-01
  python -m batch_jobs rescore flight_delay --version 1
  python -m batch_jobs quarantined flight_delay --date 2013-07-02 --out bad.csv
  python -m batch_jobs requeue flight_delay --date 2013-07-02 mended.csv
  python -m batch_jobs monitor flight_delay --date 2013-10-01 --out report.html
  python -m batch_jobs vacuum flight_delay --dry-run
  python -m batch_jobs schedule                   # all jobs with a schedule, until SIGTERM
  python -m batch_jobs schedule flight_delay --once

exit codes: 0 published or nothing to do, 2 usage, 3 unfit data, 4 nothing on stage, 75 try again, 1 other
settings are environment variables: docs/settings.md"""


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    from batch_jobs.memory import share_arenas

    # Before whatever starts threads is imported.
    share_arenas(getattr(options, "workers", None) or os.cpu_count() or 1)
    from registry import prepare_client

    prepare_client(os.environ)
    # MLflow would print links between our lines, and into our JSON.
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    from batch_jobs.exit_codes import exit_code, failures

    try:
        return int(options.run(options))
    except KeyboardInterrupt:
        return _fail("interrupted; days that were told are published; run it again", 130)
    except tuple(failures()) as error:
        return _fail(error, exit_code(error))


def _fail(error: object, code: int) -> int:
    print(f"batch_jobs: {error}", file=sys.stderr)
    return code


def _date(text: str) -> dt.date:
    try:
        return dt.datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=dt.UTC).date()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date; expected YYYY-MM-DD") from None


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no count; expected a whole number, at least 1")
    return int(text)


def _add_monitor(
    chosen: argparse._SubParsersAction[argparse.ArgumentParser], named: argparse.ArgumentParser
) -> None:
    verb = chosen.add_parser(
        "monitor",
        allow_abbrev=False,
        parents=[named],
        help="measure what was scored: quality, drift, skew; tell of alerts",
    )
    chosen_days = verb.add_mutually_exclusive_group(required=True)
    chosen_days.add_argument("--date", type=_date, metavar="DATE", help="the day, YYYY-MM-DD")
    chosen_days.add_argument("--from", dest="since", type=_date, metavar="DATE", help="the first of several")
    verb.add_argument("--to", type=_date, metavar="DATE", help="the last of several")
    verb.add_argument("--out", metavar="FILE", help="write the report to a file, too, as HTML")
    verb.add_argument("--prometheus", metavar="FILE", help="write figures for the node exporter, as x.prom")
    verb.add_argument("--no-alerts", action="store_true", help="only measure: fire, tell and retrain nothing")
    verb.set_defaults(run=monitoring.monitor)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m batch_jobs",
        description="Score partitions of S3 data with the version in Production, exactly once.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    chosen = parser.add_subparsers(required=True, metavar="VERB")
    named = argparse.ArgumentParser(add_help=False)
    named.add_argument("job", help="a file batch_jobs/JOB.yaml")
    named.add_argument("--json", action="store_true", help="print JSON for machines")
    splits = argparse.ArgumentParser(add_help=False)
    splits.add_argument("--workers", type=_count, metavar="N", help="splits at a time; as many as processors")
    splits.add_argument(
        "--engine", choices=ENGINES, default="local", help="where: threads here, or a Ray cluster"
    )
    common = argparse.ArgumentParser(add_help=False, parents=[named, splits])
    days = argparse.ArgumentParser(add_help=False)
    days.add_argument(
        "--days-at-once", type=_count, metavar="N", help="days that share the workers at a time; 4"
    )

    verb = chosen.add_parser("run", allow_abbrev=False, parents=[common], help="score one day")
    verb.add_argument(
        "--date", dest="since", type=_date, required=True, metavar="DATE", help="the day, YYYY-MM-DD"
    )
    verb.set_defaults(run=verbs.run, to=None, days_at_once=1)

    verb = chosen.add_parser(
        "backfill",
        allow_abbrev=False,
        parents=[common, days],
        help="score a span of days, both ends included",
    )
    verb.add_argument("--from", dest="since", type=_date, required=True, metavar="DATE")
    verb.add_argument("--to", type=_date, required=True, metavar="DATE")
    verb.set_defaults(run=verbs.run)

    verb = chosen.add_parser(
        "rescore",
        allow_abbrev=False,
        parents=[common, days],
        help="score again what a withdrawn version scored",
    )
    verb.add_argument("--version", type=_count, required=True, metavar="N", help="the version that scored it")
    verb.set_defaults(run=verbs.rescore)

    verb = chosen.add_parser(
        "status", allow_abbrev=False, parents=[named], help="say which days are published, missing or stale"
    )
    verb.add_argument("--from", dest="since", type=_date, metavar="DATE")
    verb.add_argument("--to", type=_date, metavar="DATE")
    verb.set_defaults(run=verbs.status)

    day = argparse.ArgumentParser(add_help=False)
    day.add_argument(
        "--date", dest="since", type=_date, required=True, metavar="DATE", help="the day, YYYY-MM-DD"
    )

    verb = chosen.add_parser(
        "quarantined", allow_abbrev=False, parents=[day], help="write bad rows to a file, to mend them"
    )
    verb.add_argument("job", help="a file batch_jobs/JOB.yaml")
    verb.add_argument("--out", required=True, metavar="FILE", help="a file .csv or .parquet")
    verb.set_defaults(run=mending.quarantined)

    verb = chosen.add_parser(
        "requeue", allow_abbrev=False, parents=[common, day], help="score mended rows in place of bad ones"
    )
    verb.add_argument("file", help="rows as `quarantined` writes them, mended: a path or an s3:// URI")
    verb.set_defaults(run=mending.requeue, to=None, days_at_once=1)

    _add_monitor(chosen, named)

    verb = chosen.add_parser("vacuum", allow_abbrev=False, help="delete files that nothing can need any more")
    verb.add_argument("job", help="a file batch_jobs/JOB.yaml")
    verb.add_argument("--days", type=_count, default=7, help="how long ago they were needed at least; 7")
    verb.add_argument("--dry-run", action="store_true", help="only name them")
    verb.set_defaults(run=verbs.vacuum)

    verb = chosen.add_parser(
        "schedule",
        allow_abbrev=False,
        parents=[splits, days],
        help="score what is missing whenever a job's moment comes",
    )
    verb.add_argument(
        "jobs", nargs="*", metavar="JOB", help="a file batch_jobs/JOB.yaml; all with a schedule"
    )
    verb.add_argument("--once", action="store_true", help="catch up now, and end: for cron and the like")
    verb.add_argument("--json", action="store_true", help="print JSON for machines, a line for each event")
    verb.set_defaults(run=scheduling.schedule)
    return parser


if __name__ == "__main__":
    sys.exit(main())
