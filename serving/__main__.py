"""`python -m serving`: start an endpoint, or try one."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, cast

from serving.options import add_start_options, settings_of

if TYPE_CHECKING:
    from typing import Literal

_EXAMPLES = """examples:
  python -m serving start flight-delay --workers 2
  python -m serving start flight-delay diamond-price --port 8080
  python -m serving build flight-delay --out image && docker build -t flight-delay image
  python -m serving compare flight-delay --since 2013-07-01
  python -m serving smoke flight_delay/predictions --date 2013-07-01 --url http://127.0.0.1:5001

settings are environment variables: docs/settings.md"""


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except KeyboardInterrupt:
        return _fail("interrupted; run it again", 130)


def _start(options: argparse.Namespace) -> int:
    """Serve; what is imported here, each worker has, so neither MLflow nor pandas is."""
    from serving.errors import AddressError, ServingError, SettingsError
    from serving.http.start import first_views, listen, run_mlflow, view_paths

    try:
        settings = settings_of(options, os.environ)
        paths = view_paths(settings, os.environ)
        listener = listen(settings.host, settings.port)
    except SettingsError as error:
        return _fail(error, 2)
    except (AddressError, ServingError) as error:
        return _fail(error, 1)
    try:
        code = first_views(settings, paths, os.environ)
    except ServingError as error:
        code = _fail(error, 1)
    if code:
        listener.close()
        return code
    if options.server == "mlflow":
        listener.close()
        run_mlflow(paths[0], settings, os.environ)
    from serving.lean import leave_out_what_boosters_do_not_need

    leave_out_what_boosters_do_not_need(os.environ, lenient=settings.lenient)
    from serving.http.server import Plan, run

    host, port = listener.getsockname()[:2]
    print(f"Serving {', '.join(settings.models)} at http://{host}:{port}", flush=True)
    run(Plan.of(settings, paths, listener))
    return 0


def _build(options: argparse.Namespace) -> int:
    from registry import prepare_client

    prepare_client(os.environ)
    from registry import NothingOnStageError, RegistryError, RegistryUnavailableError, UnknownVersionError
    from serving.errors import ServingError

    try:
        return _write_container(options)
    except NothingOnStageError as error:
        return _fail(error, 4)
    except UnknownVersionError as error:
        return _fail(error, 2)
    except RegistryUnavailableError as error:
        return _fail(error, 75)
    except (ServingError, RegistryError, OSError) as error:
        return _fail(error, 1)


def _write_container(options: argparse.Namespace) -> int:
    import registry
    from registry.formats import format_of
    from serving.container.context import Subject, check_free, write_context
    from serving.errors import ServingError

    check_free(options.out)
    at = registry.connect(os.environ)
    found = registry.resolve(at, f"models:/{options.model}/Production")
    if options.version not in {None, found.version}:
        raise ServingError(
            f"{found.name} version {options.version} is not in Production, version {found.version} is. Only"
            " what is in Production goes into an image: roll back to it first, or leave --version out"
        )
    folder = registry.fetch(at, found)
    manifest = registry.Manifest.of(folder)
    form = format_of(folder, manifest)
    if form not in at.formats:
        raise ServingError(
            f"{found.name} version {found.version} is in the format {form!r}, and GREENROOM_ARTIFACT_FORMATS"
            f" allows {', '.join(at.formats)} here"
        )
    kind = cast('Literal["xgboost", "pyfunc"]', form)  # as those of the registry are
    write_context(options.out, Subject(found.name, found.version, folder, manifest, kind))
    print(f"Wrote {options.out}: {found.name} version {found.version}, artifact {manifest.digest}")
    print(f"Build the image: docker build -t {found.name}:{found.version} {options.out}")
    return 0


def _smoke(options: argparse.Namespace) -> int:
    from registry import prepare_client

    prepare_client(os.environ)
    from registry import RegistryError, RegistryUnavailableError, UnknownVersionError
    from serving.errors import EndpointUnavailableError, ServingError
    from storage import StorageError, StorageUnavailableError

    try:
        return _try(options)
    except (EndpointUnavailableError, StorageUnavailableError, RegistryUnavailableError) as error:
        return _fail(error, 75)
    except UnknownVersionError as error:
        return _fail(error, 2)
    except (ServingError, RegistryError, StorageError) as error:
        return _fail(error, 1)


def _try(options: argparse.Namespace) -> int:
    import registry
    from serving.smoke import read_expected, smoke
    from storage import S3Settings, Store, data_uri

    settings = S3Settings.from_environment(os.environ)
    expected = read_expected(
        data_uri(options.predictions, os.environ),
        options.date,
        options.rows,
        registry.connect(os.environ),
        Store.connect(settings),
        settings,
    )
    report = smoke(options.url, expected)
    if options.json:
        print(json.dumps(asdict(report), indent=2))
    else:
        print(
            f"{report.url}: {report.rows:,} rows of {options.date} answered bit for bit as the batch job"
            f" wrote them ({report.model} version {report.model_version})"
        )
    return 0


def _compare(options: argparse.Namespace) -> int:
    if options.record:
        # What is printed here is the comparison, for machines maybe; MLflow would begin it with an address.
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        from registry import prepare_client

        prepare_client(os.environ)
    from registry import RegistryError, RegistryUnavailableError
    from serving.errors import RoutesError, ServingError
    from storage import StorageError, StorageUnavailableError

    try:
        return _tell_comparison(options)
    except RoutesError as error:
        return _fail(error, 2)
    except (StorageUnavailableError, RegistryUnavailableError) as error:
        return _fail(error, 75)
    except (ServingError, RegistryError, StorageError) as error:
        return _fail(error, 1)


def _tell_comparison(options: argparse.Namespace) -> int:
    from serving.comparing.command import make_report, read_routes
    from serving.comparing.reading import Period
    from serving.comparing.telling import as_json, as_text

    routes = read_routes(options.model, options.routes)
    report = make_report(routes, options.challenger, Period(options.since, options.until), os.environ)
    said = as_json(report)
    if options.record:
        import registry
        from serving.comparing.recording import record

        said["run_id"] = record(report, registry.connect(os.environ))
    if options.json:
        print(json.dumps(said, indent=2))
        return 0
    print(as_text(report))
    if options.record:
        print(f"recorded as run {said['run_id']}")
    return 0


def _fail(error: object, code: int) -> int:
    print(f"serving: {error}", file=sys.stderr)
    return code


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
    verb.set_defaults(run=_start)
    verb = verbs.add_parser(
        "build", allow_abbrev=False, help="write what an image of the version in Production is built from"
    )
    verb.add_argument("model", metavar="MODEL", help="as registered")
    verb.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="a new folder")
    verb.add_argument(
        "--version", type=_count, metavar="N", help="write it only if this version is in Production"
    )
    verb.set_defaults(run=_build)
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
    verb.set_defaults(run=_compare)
    verb = verbs.add_parser(
        "smoke", allow_abbrev=False, help="send real rows, and compare with the batch predictions"
    )
    verb.add_argument("predictions", help="the table of predictions: below GREENROOM_DATA, or s3://…")
    verb.add_argument("--date", type=_date, required=True, metavar="DATE", help="the day, YYYY-MM-DD")
    verb.add_argument("--url", default="http://127.0.0.1:5001", help="where the endpoint is")
    verb.add_argument("--rows", type=_count, default=2000, help="rows at most")
    verb.add_argument("--json", action="store_true", help="print JSON for machines")
    verb.set_defaults(run=_smoke)
    return parser


if __name__ == "__main__":
    sys.exit(main())
