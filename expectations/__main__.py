from __future__ import annotations

import argparse
import json
import os
import sys
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from expectations.errors import InferenceError, SourceError, SuiteError, UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from expectations.report import Report

_EXAMPLES = """\
examples:
  python -m expectations check flight_delay/input day.parquet
  python -m expectations check my_suite.json day.csv --json

exit code: 0 fit, 2 usage, 3 unfit (a row fails, the batch fails, or the file is no table)
"""

_INFER_EXAMPLES = """\
examples:
  python -m expectations infer churn --data s3://lake/churn/rows --key customer_id --label left
  python -m expectations infer churn --data churn/rows --ignore comment --ignore seen_at --force

A job shows its input suite the row key and the features, so ignore all other columns but the label.
A location without s3:// is below GREENROOM_DATA. Settings are environment variables: docs/settings.md

exit code: 0 written, 2 usage, 3 unfit data, 75 try again, 1 other
"""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except KeyboardInterrupt:
        return _fail("interrupted; run it again", 130)
    except (SuiteError, SourceError) as error:
        return _fail(error, 2)
    except (UnreadableError, InferenceError) as error:
        return _fail(error, 3)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m expectations", description="Say whether data is fit.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    check = verbs.add_parser(
        "check",
        help="try a suite on a local file",
        description="Try a suite on a local Parquet or CSV file and print the report.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    check.add_argument("suite", metavar="SUITE", help="flight_delay/input, or a path to a .json")
    check.add_argument("file", metavar="FILE", help="a local .parquet or .csv file")
    check.add_argument("--json", action="store_true", help="print one JSON object, all rows in it")
    check.set_defaults(run=_run_check)

    infer = verbs.add_parser(
        "infer",
        allow_abbrev=False,
        help="draft the suites of a job from data on S3",
        description="Draft expectations/NAME/input.json and predictions.json from data on S3, to be edited.",
        epilog=_INFER_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    infer.add_argument("name", metavar="NAME", help="the folder of the suites, as flight_delay")
    infer.add_argument("--data", required=True, metavar="LOCATION", help="where Parquet or CSV files lie")
    infer.add_argument("--key", metavar="COLUMN", help="names each row of a batch")
    infer.add_argument("--label", metavar="COLUMN", help="what the model learns: bounds its predictions")
    infer.add_argument(
        "--ignore", action="append", default=[], metavar="COLUMN", help="expect nothing of it; once for each"
    )
    infer.add_argument("--force", action="store_true", help="write over suites that are there")
    infer.set_defaults(run=_run_infer)
    return parser


def _run_check(options: argparse.Namespace) -> int:
    report = _check(options.suite, options.file)
    _print(report, as_json=options.json)
    return 0 if report.is_fit else 3


def _run_infer(options: argparse.Namespace) -> int:
    from storage import StorageError, StorageUnavailableError, UnreadableFileError

    try:
        _infer(options)
    except StorageUnavailableError as error:
        return _fail(error, 75)
    except UnreadableFileError as error:
        return _fail(error, 3)
    except StorageError as error:
        return _fail(error, 1)
    return 0


def _infer(options: argparse.Namespace) -> None:
    from expectations.drafts import draft_files, refuse_existing, write
    from expectations.suite import ROOT

    # Before all data is read: a name that is taken should not wait for it.
    refuse_existing(options.name, ROOT, force=options.force)
    from expectations.delivered import read_facts
    from expectations.inference import infer_suites
    from storage import S3Settings, Store, data_uri

    uri = data_uri(options.data, os.environ)
    store = Store.connect(S3Settings.from_environment(os.environ))
    with _progress() as progress:
        facts = read_facts(uri, store, ignore=options.ignore, progress=progress)
    suites = infer_suites(options.name, facts, key=options.key, label=options.label)
    files = draft_files(options.name, suites, ROOT)
    write(files)
    print(f"Read {facts.rows:,} rows in {len(facts.batches):,} batches under {facts.uri}")
    for path in files:
        print(f"  wrote    expectations/{options.name}/{path.name}")
    print("  next     edit them to say what is right, not only what was seen; then try them on a day's file:")
    print(f"           python -m expectations check {options.name}/input FILE")


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Show a bar on a terminal, nothing in a pipe."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Reading", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _fail(error: object, code: int) -> int:
    print(f"expectations: {error}", file=sys.stderr)
    return code


def _check(suite_name: str, file: str) -> Report:
    # What is cheap to find wrong is said before seconds are spent on importing the checks.
    from expectations.suite import load_suite
    from expectations.tables import read_table

    suite = load_suite(suite_name)
    table = read_table(file)

    from rich.console import Console

    # Silent in a pipe.
    with Console(stderr=True).status(f"Checking {table.num_rows:,} rows"):
        from expectations.checks import check

        return check(table, suite)


def _print(report: Report, *, as_json: bool) -> None:
    from expectations.report import render

    if as_json:
        print(json.dumps({"is_fit": report.is_fit, **asdict(report)}))
    else:
        print(render(report))


if __name__ == "__main__":
    sys.exit(main())
