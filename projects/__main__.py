"""`python -m projects`: draft a project, train, tune, validate, reproduce. `mlflow run .` calls this."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from projects.runs import Workplace

_EXAMPLES = """examples:
  python -m projects deliver flight_delay
  python -m projects train flight_delay --until 2013-06-30
  python -m projects train flight_delay --sample 0.1
  python -m projects tune flight_delay --trials 50
  python -m projects train flight_delay --tuned RUN_ID
  python -m projects validate flight_delay --version 1
  python -m projects reproduce RUN_ID
  python -m projects new churn --data s3://lake/churn/rows --label left --key customer_id --time date

exit codes: 0 done, 2 usage, 3 unfit data or a failed validation, 75 try again, 1 other
settings are environment variables: docs/settings.md"""


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    from registry import prepare_client

    prepare_client(os.environ)
    from expectations import InferenceError
    from projects.errors import DeclarationError, ProjectError, UnfitTrainingDataError
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
    except (DeclarationError, UnknownVersionError) as error:
        return _fail(error, 2)
    except (ProjectError, RegistryError, StorageError) as error:
        return _fail(error, 1)


def _deliver(options: argparse.Namespace) -> int:
    from projects.declaration import read_project
    from projects.delivery import deliver
    from storage import S3Settings, Store, data_uri

    project = read_project(options.project)
    store = Store.connect(S3Settings.from_environment(os.environ))
    locations = {name: data_uri(location, os.environ) for name, location in project.sources.items()}
    with _progress() as progress:
        days: list[str] = []

        def delivered(day: str, _: int) -> None:
            days.append(day)
            progress(f"Delivering {day}", len(days), None)

        rows = deliver(project.deliveries(), locations, store, delivered)
    print(f"Delivered {rows:,} rows, {days[0]} to {days[-1]}, to {' and '.join(locations.values())}")
    return 0


def _train(options: argparse.Namespace) -> int:
    from projects.declaration import read_project

    project = read_project(options.project)
    part = project.training_part(options.since, options.until)
    from projects.runs import train_version  # seconds, which a wrong window should not cost

    with _workplace() as at:
        version = train_version(project, part, options.sample, at, tuned=options.tuned or None)
    print(f"Registered {version.name} version {version.version}, trained on {part}")
    print(f"  author   {version.author}")
    print(f"  digest   {version.digest}")
    then = f"-e validate -P project={project.name} -P version={version.version}"
    print(f"  next     mlflow run . --env-manager local {then}")
    return 0


def _tune(options: argparse.Namespace) -> int:
    from projects.declaration import read_project

    project = read_project(options.project)
    part = project.training_part(options.since, options.until)
    import optuna  # a second

    from projects.tuning import tune

    # Our own line says how far it is.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with _workplace() as at:
        found = tune(project, part, options.trials, at)
    before = f", {found.before} of them before" if found.before else ""
    print(f"Tried {found.trials} sets of parameters on {part}, {found.pruned} not to their end{before}")
    declared = "" if found.declared is None else f"; declared, {found.declared:.6g}"
    print(f"  best {found.metric} {found.best:.6g}{declared}")
    for name, value in [*found.parameters.items(), ("rounds", found.rounds)]:
        print(f"    {name}: {value:.6g}" if isinstance(value, float) else f"    {name}: {value}")
    print("  The rows it was found on are not those of validation, which judges it.")
    then = f"-P project={project.name} -P tuned={found.run_id}"
    print(f"  next     mlflow run . --env-manager local {then}")
    return 0


def _validate(options: argparse.Namespace) -> int:
    from projects.declaration import read_project
    from projects.parts import Window

    project = read_project(options.project)
    if bool(options.since) != bool(options.until):
        return _fail("--since and --until go together: give both, or neither", 2)
    window = Window.between(options.since, options.until) if options.since else None
    from projects.validation import validate_version

    with _workplace() as at:
        verdict = validate_version(project, options.version, window, at)
    print(f"{project.model} version {options.version}: validation {verdict.said}")
    for reason in verdict.reasons:
        print(f"  {reason}")
    print(f"  judged on {verdict.window}, {verdict.rows:,} rows; compared with {verdict.compared_with}")
    return 0 if verdict.passed else 3


def _reproduce(options: argparse.Namespace) -> int:
    from projects.reproduction import reproduce

    with _workplace() as at:
        done = reproduce(options.run_id, at)
    print(f"{done.version.name} version {done.version.version}, trained again:", end=" ")
    if not done.differing:
        print("the same artifact, to the byte")
        return 0
    print("not the same artifact")
    for path in done.differing:
        print(f"  {path} differs")
    for change in done.around or ("Python, XGBoost and MLflow are the same as then",):
        print(f"  {change}")
    return 3


def _new(options: argparse.Namespace) -> int:
    from projects.declaration import ROOT
    from projects.new import new_project
    from storage import S3Settings, Store

    store = Store.connect(S3Settings.from_environment(os.environ))
    with _progress() as progress:
        draft, files = new_project(
            options.project,
            options.data,
            label=options.label,
            key=options.key,
            time=options.time,
            root=ROOT.parent,
            store=store,
            environment=os.environ,
            progress=lambda done, total: progress("Reading", done, total),
        )
    numbers = sum(kind == "number" for kind in draft.features.values())
    print(f"Drafted {draft.name} from {draft.facts.rows:,} rows under {draft.facts.uri}")
    print(f"  label    {draft.label}: {draft.objective}; row key {draft.key}")
    print(f"  features {numbers} numbers, {len(draft.features) - numbers} categories")
    for column, why in draft.left_out.items():
        print(f"  left out {column}: it {why}")
    for path in files:
        print(f"  wrote    {path}")
    print("  next     decide what says Review in them and edit the suites; then train:")
    experiment = f"--env-manager local --experiment-name {draft.model}"
    print(f"           mlflow run . {experiment} -P project={draft.name}")
    return 0


@contextmanager
def _workplace() -> Iterator[Workplace]:
    import registry
    from projects.runs import Workplace

    with _progress() as progress, registry.translated("work with MLflow"):
        yield Workplace.connect(os.environ, progress)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int | None], None]]:
    """Show a bar on a terminal, nothing in a pipe."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Starting", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)


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
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    window = argparse.ArgumentParser(add_help=False)
    window.add_argument("--since", type=_date, metavar="DATE", help="first day of the window")
    window.add_argument("--until", type=_date, metavar="DATE", help="last day of the window")

    verb = verbs.add_parser(
        "deliver", allow_abbrev=False, help="put the project's example data on S3, as upstream would"
    )
    verb.add_argument("project")
    verb.set_defaults(run=_deliver)

    verb = verbs.add_parser(
        "train", allow_abbrev=False, parents=[window], help="train on a window and register a version"
    )
    verb.add_argument("project")
    verb.add_argument("--sample", type=_share, default=1.0, help="share of the rows, for a quick run")
    verb.add_argument("--tuned", metavar="RUN_ID", help="with the parameters that this run of tune found")
    verb.set_defaults(run=_train)

    verb = verbs.add_parser(
        "tune",
        allow_abbrev=False,
        parents=[window],
        help="search for better parameters; go on where it stopped",
    )
    verb.add_argument("project")
    verb.add_argument("--trials", type=_count, metavar="N", help="how many in all; as declared by default")
    verb.set_defaults(run=_tune)

    verb = verbs.add_parser(
        "validate", allow_abbrev=False, parents=[window], help="hold a version against the gates"
    )
    verb.add_argument("project")
    verb.add_argument("--version", type=int, required=True)
    verb.set_defaults(run=_validate)

    verb = verbs.add_parser(
        "reproduce", allow_abbrev=False, help="train again what a run trained, and compare the artifacts"
    )
    verb.add_argument("run_id", metavar="RUN_ID")
    verb.set_defaults(run=_reproduce)

    verb = verbs.add_parser(
        "new", allow_abbrev=False, help="draft a project, its suites and its batch job from data on S3"
    )
    verb.add_argument("project", metavar="NAME")
    verb.add_argument("--data", required=True, metavar="LOCATION", help="where Parquet or CSV files lie")
    verb.add_argument("--label", required=True, metavar="COLUMN", help="what the model learns")
    verb.add_argument("--key", metavar="COLUMN", help="names each row; else the first text that does")
    verb.add_argument("--time", metavar="COLUMN", help="when a row was; date for folders date=YYYY-MM-DD")
    verb.set_defaults(run=_new)
    return parser


if __name__ == "__main__":
    sys.exit(main())
