"""`python -m projects`: draft a project, train, tune, validate, reproduce. `mlflow run .` calls this."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import sys

from projects import verbs

_EXAMPLES = """examples:
  python -m projects deliver flight_delay
  python -m projects train flight_delay --until 2013-06-30
  python -m projects train flight_delay --sample 0.1
  python -m projects tune flight_delay --trials 50
  python -m projects train flight_delay --tuned RUN_ID
  python -m projects validate flight_delay --version 1
  python -m projects reproduce RUN_ID
  python -m projects lineage flight-delay/Production
  python -m projects lineage flight_delay/predictions --date 2013-07-01 --key flight_id=ID
  python -m projects new churn --data s3://lake/churn/rows --label left --key customer_id --time date

exit codes: 0 done, 2 usage, 3 unfit data or a failed validation, 75 try again, 1 other
settings are environment variables: docs/settings.md"""


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    from registry import prepare_client

    prepare_client(os.environ)
    from expectations import InferenceError
    from projects.errors import DeclarationError, ProjectError, UnfitTrainingDataError, UsageError
    from registry import RegistryError, RegistryUnavailableError, UnknownVersionError
    from storage import StorageError, StorageUnavailableError, UnreadableFileError

    try:
        return int(options.run(options))
    except KeyboardInterrupt:
        return _fail("interrupted; run it again", 130)
    except (StorageUnavailableError, RegistryUnavailableError) as error:
        return _fail(error, 75)
    except (UnfitTrainingDataError, UnreadableFileError, InferenceError) as error:
        return _fail(error, 3)
    except (DeclarationError, UsageError, UnknownVersionError) as error:
        return _fail(error, 2)
    except (ProjectError, RegistryError, StorageError) as error:
        return _fail(error, 1)


def _fail(error: object, code: int) -> int:
    print(f"projects: {error}", file=sys.stderr)
    return code


def _date(text: str) -> dt.date | None:
    if not text:
        return None  # how MLproject passes a parameter that was not given
    try:
        return dt.datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=dt.UTC).date()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date; expected YYYY-MM-DD") from None


def _count(text: str) -> int | None:
    if not text:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of trials; expected a whole one, at least 1")
    return int(text)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share; expected more than 0, at most 1")
    return share


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m projects",
        description="Turn data into logged, validated model versions.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    chosen = parser.add_subparsers(required=True, metavar="VERB")
    window = argparse.ArgumentParser(add_help=False)
    window.add_argument("--since", type=_date, metavar="DATE", help="first day of the window")
    window.add_argument("--until", type=_date, metavar="DATE", help="last day of the window")

    verb = chosen.add_parser(
        "deliver", allow_abbrev=False, help="put the project's example data on S3, as upstream would"
    )
    verb.add_argument("project")
    verb.set_defaults(run=verbs.deliver)

    verb = chosen.add_parser(
        "train", allow_abbrev=False, parents=[window], help="train on a window and register a version"
    )
    verb.add_argument("project")
    verb.add_argument("--sample", type=_share, default=1.0, help="share of the rows, for a quick run")
    verb.add_argument("--tuned", metavar="RUN_ID", help="with the parameters that this run of tune found")
    verb.set_defaults(run=verbs.train)

    verb = chosen.add_parser(
        "tune",
        allow_abbrev=False,
        parents=[window],
        help="search for better parameters; go on where it stopped",
    )
    verb.add_argument("project")
    verb.add_argument("--trials", type=_count, metavar="N", help="how many in all; as declared by default")
    verb.set_defaults(run=verbs.tune)

    verb = chosen.add_parser(
        "validate", allow_abbrev=False, parents=[window], help="hold a version against the gates"
    )
    verb.add_argument("project")
    verb.add_argument("--version", type=int, required=True)
    verb.set_defaults(run=verbs.validate)

    verb = chosen.add_parser(
        "reproduce", allow_abbrev=False, help="train again what a run trained, and compare the artifacts"
    )
    verb.add_argument("run_id", metavar="RUN_ID")
    verb.set_defaults(run=verbs.reproduce)

    verb = chosen.add_parser(
        "lineage", allow_abbrev=False, help="say what something was made of, up to the source objects"
    )
    verb.add_argument("what", metavar="WHAT", help="NAME/VERSION, a run id, a digest, or a table with --date")
    verb.add_argument("--date", type=_date, metavar="DATE", help="the day of a table of predictions")
    verb.add_argument("--key", metavar="COLUMN=VALUE", help="one row of that day")
    verb.add_argument("--down", action="store_true", help="what was made of it instead")
    verb.add_argument("--json", action="store_true", help="for machines")
    verb.set_defaults(run=verbs.lineage)

    verb = chosen.add_parser(
        "new", allow_abbrev=False, help="draft a project, its suites and its batch job from data on S3"
    )
    verb.add_argument("project", metavar="NAME")
    verb.add_argument("--data", required=True, metavar="LOCATION", help="where Parquet or CSV files lie")
    verb.add_argument("--label", required=True, metavar="COLUMN", help="what the model learns")
    verb.add_argument("--key", metavar="COLUMN", help="names each row; else the first text that does")
    verb.add_argument("--time", metavar="COLUMN", help="when a row was; date for folders date=YYYY-MM-DD")
    verb.set_defaults(run=verbs.new)
    return parser


if __name__ == "__main__":
    sys.exit(main())
