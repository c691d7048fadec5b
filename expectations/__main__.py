from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from expectations.errors import SourceError, SuiteError, UnreadableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from expectations.report import Report

_EXAMPLES = """\
examples:
  python -m expectations check flight_delay/input day.parquet
  python -m expectations check my_suite.json day.csv --json

exit code: 0 fit, 2 usage, 3 unfit (a row fails, the batch fails, or the file is no table)
"""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m expectations", description="Say whether data is fit.")
    verbs = parser.add_subparsers(dest="verb", required=True)
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
    options = parser.parse_args(arguments)
    try:
        report = _check(options.suite, options.file)
    except (SuiteError, SourceError) as error:
        print(f"expectations: {error}", file=sys.stderr)
        return 2
    except UnreadableError as error:
        print(f"expectations: {error}", file=sys.stderr)
        return 3
    _print(report, as_json=options.json)
    return 0 if report.is_fit else 3


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
