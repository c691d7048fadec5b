"""What the verbs of `python -m serving` do; each imports what it needs, and says what went wrong."""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, cast

from serving.options import settings_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from typing import Literal


def start(options: argparse.Namespace) -> int:
    """Serve; what is imported here, each worker has, so neither MLflow nor pandas is."""
    from serving.errors import AddressError, ServingError, SettingsError
    from serving.http.start import first_views, listen, run_mlflow, view_paths

    try:
        settings = settings_of(options, os.environ)
        paths = view_paths(settings, os.environ)
        listener = listen(settings.host, settings.port)
    except SettingsError as error:
        return fail(error, 2)
    except (AddressError, ServingError) as error:
        return fail(error, 1)
    try:
        code = first_views(settings, paths, os.environ)
    except ServingError as error:
        code = fail(error, 1)
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


def build(options: argparse.Namespace) -> int:
    """Write what an image is built from."""
    from registry import prepare_client

    prepare_client(os.environ)
    return _or_why_not(_write_container, options)


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


def smoke(options: argparse.Namespace) -> int:
    """Hold an endpoint against the batch table."""
    from registry import prepare_client

    prepare_client(os.environ)
    return _or_why_not(_try, options)


def _try(options: argparse.Namespace) -> int:
    import registry
    from serving.smoke import smoke as ask_and_compare
    from serving.written import read_expected
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
    report = ask_and_compare(options.url, expected, options.wait)
    if options.json:
        print(json.dumps(asdict(report), indent=2))
    else:
        print(
            f"{report.url}: {report.rows:,} rows of {options.date} answered bit for bit as the batch job"
            f" wrote them ({report.model} version {report.model_version})"
        )
    return 0


def compare(options: argparse.Namespace) -> int:
    """Say whether a challenger is better on live traffic."""
    if options.record:
        # What is printed here is the comparison, for machines maybe; MLflow would begin it with an address.
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        from registry import prepare_client

        prepare_client(os.environ)
    return _or_why_not(_tell_comparison, options)


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


def compact(options: argparse.Namespace) -> int:
    """Join the files of what was recorded on days that are over."""
    return _or_why_not(_tidy, options)


def _tidy(options: argparse.Namespace) -> int:
    from serving.comparing.command import read_routes
    from serving.recording.compacting import tidy
    from storage import S3Settings

    routes = read_routes(options.model, options.routes)
    settings = S3Settings.from_environment(os.environ)
    done = tidy(routes, dt.timedelta(days=options.days), settings, os.environ)
    if options.json:
        print(json.dumps([asdict(each) for each in done], indent=2))
        return 0
    for each in done:
        print(
            f"{each.table}: {each.joined:,} files joined into {each.into:,}; {each.deleted:,} deleted that"
            f" were replaced {options.days} days ago"
        )
    if not done:
        print(f"Nothing was recorded of {routes.model} yet")
    return 0


def _or_why_not(work: Callable[[argparse.Namespace], int], options: argparse.Namespace) -> int:
    """Do the work of a verb; say what hinders it, and return the exit code that this has everywhere."""
    from registry import NothingOnStageError, RegistryError, RegistryUnavailableError, UnknownVersionError
    from serving.errors import EndpointUnavailableError, RoutesError, ServingError
    from storage import CommitConflictError, StorageError, StorageUnavailableError

    away = (EndpointUnavailableError, RegistryUnavailableError, StorageUnavailableError, CommitConflictError)
    try:
        return work(options)
    except (UnknownVersionError, RoutesError) as error:
        return fail(error, 2)
    except NothingOnStageError as error:
        return fail(error, 4)
    except away as error:
        return fail(error, 75)
    except (ServingError, RegistryError, StorageError, OSError) as error:
        return fail(error, 1)


def fail(error: object, code: int) -> int:
    """Say what went wrong, and return the exit code."""
    print(f"serving: {error}", file=sys.stderr)
    return code
