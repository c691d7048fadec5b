"""`python -m serving`: start an endpoint, or try one."""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from pathlib import Path

from serving.options import add_start_options
from serving.verbs import build, compact, compare, fail, smoke, start

_EXAMPLES = """examples:
  python -m serving start flight-delay --workers 2
  python -m serving start flight-delay diamond-price --port 8080
  python -m serving build flight-delay --out image && docker build -t flight-delay image
  python -m serving compare flight-delay --since 2013-07-01
  python -m serving compact flight-delay
  python -m serving smoke flight_delay/predictions --date 2013-07-01 --url http://127.0.0.1:5001

settings are environment variables: docs/settings.md"""


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except KeyboardInterrupt:
        return fail("interrupted; run it again", 130)


def _date(text: str) -> dt.date:
    try:
        return dt.datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=dt.UTC).date()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date; expected YYYY-MM-DD") from None


def _moment(text: str) -> dt.datetime:
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text[:40]!r} is not a time; expected YYYY-MM-DD, or YYYY-MM-DDTHH:MM, in UTC"
        ) from None
    return found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found.astimezone(dt.UTC)


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a count; expected at least 1")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m serving",
        description="Serve the model in Production over HTTP, and try an endpoint that does.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    verb = verbs.add_parser(
        "start", allow_abbrev=False, help="answer requests by what is in Production, and follow the registry"
    )
    add_start_options(verb)
    verb.set_defaults(run=start)
    verb = verbs.add_parser(
        "build", allow_abbrev=False, help="write what an image of the version in Production is built from"
    )
    verb.add_argument("model", metavar="MODEL", help="as registered")
    verb.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="a new folder")
    verb.add_argument(
        "--version", type=_count, metavar="N", help="write it only if this version is in Production"
    )
    verb.set_defaults(run=build)
    verb = verbs.add_parser(
        "compare", allow_abbrev=False, help="say whether a challenger is better on live traffic, and how sure"
    )
    verb.add_argument("model", metavar="MODEL", help="as registered")
    verb.add_argument("--since", type=_moment, metavar="TIME", help="compare answers from then on, in UTC")
    verb.add_argument("--until", type=_moment, metavar="TIME", help="and before then")
    verb.add_argument("--challenger", metavar="ARM", help="which arm, where there are several")
    verb.add_argument("--routes", type=Path, default=Path("serving"), help="the folder of routes files")
    verb.add_argument("--json", action="store_true", help="print JSON for machines")
    verb.add_argument("--record", action="store_true", help="keep it as an MLflow run, for reviewers")
    verb.set_defaults(run=compare)
    verb = verbs.add_parser(
        "compact", allow_abbrev=False, help="join the files of what was recorded on days that are over"
    )
    verb.add_argument("model", metavar="MODEL", help="as registered")
    verb.add_argument("--routes", type=Path, default=Path("serving"), help="the folder of routes files")
    verb.add_argument(
        "--days",
        type=int,
        choices=range(1, 8),
        default=7,
        metavar="N",
        help="delete what was replaced so many days ago; 7",
    )
    verb.add_argument("--json", action="store_true", help="print JSON for machines")
    verb.set_defaults(run=compact)
    verb = verbs.add_parser(
        "smoke", allow_abbrev=False, help="send real rows, and compare with the batch predictions"
    )
    verb.add_argument("predictions", help="the table of predictions: below GREENROOM_DATA, or s3://…")
    verb.add_argument("--date", type=_date, required=True, metavar="DATE", help="the day, YYYY-MM-DD")
    verb.add_argument("--url", default="http://127.0.0.1:5001", help="where the endpoint is")
    verb.add_argument("--rows", type=_count, default=2000, help="rows at most")
    verb.add_argument(
        "--wait",
        type=_count,
        default=30,
        metavar="SECONDS",
        help="for an endpoint that still answers by another version (30)",
    )
    verb.add_argument("--json", action="store_true", help="print JSON for machines")
    verb.set_defaults(run=smoke)
    return parser


if __name__ == "__main__":
    sys.exit(main())
