"""The verbs of `python -m projects`: each calls its room and prints what came of it; returns an exit code.

What takes seconds to import is imported by the verb that needs it.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from projects.runs import Workplace


def deliver(options: argparse.Namespace) -> int:
    """Put the example data of a project on S3."""
    from projects.declaration import read_project
    from projects.rows.delivery import deliver
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


def train(options: argparse.Namespace) -> int:
    """Train and register a version."""
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


def tune(options: argparse.Namespace) -> int:
    """Search for better parameters."""
    from projects.declaration import read_project

    project = read_project(options.project)
    part = project.training_part(options.since, options.until)
    import optuna  # a second

    from projects.tuning.tune import tune

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


def validate(options: argparse.Namespace) -> int:
    """Hold a version against the gates."""
    from projects.declaration import read_project
    from projects.errors import UsageError
    from projects.parts import Window

    project = read_project(options.project)
    if bool(options.since) != bool(options.until):
        raise UsageError("--since and --until go together: give both, or neither")
    window = Window.between(options.since, options.until) if options.since else None
    from projects.validation import validate_version

    with _workplace() as at:
        verdict = validate_version(project, options.version, window, at)
    print(f"{project.model} version {options.version}: validation {verdict.said}")
    for reason in verdict.reasons:
        print(f"  {reason}")
    print(f"  judged on {verdict.window}, {verdict.rows:,} rows; compared with {verdict.compared_with}")
    return 0 if verdict.passed else 3


def reproduce(options: argparse.Namespace) -> int:
    """Train again what a run trained."""
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


def new(options: argparse.Namespace) -> int:
    """Draft a project from data."""
    from projects.declaration import ROOT
    from projects.drafts.new import new_project
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


def lineage(options: argparse.Namespace) -> int:
    """Say what something was made of, or what was made of it."""
    from projects.lineage.tracing import to_lines, to_plain, trace

    with _workplace() as at:
        chain = trace(options.what, options.date, options.key, at, down=options.down)
    print(json.dumps(to_plain(chain)) if options.json else "\n".join(to_lines(chain)))
    return 0


@contextmanager
def _workplace() -> Iterator[Workplace]:
    import registry
    from projects.runs import Workplace

    with _progress() as progress, registry.translated("work with MLflow"):
        yield Workplace.connect(os.environ, progress, _warn, print)


def _warn(sentence: str) -> None:
    print(f"projects: warning: {sentence}", file=sys.stderr)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int | None], None]]:
    """Show a bar on a terminal, nothing in a pipe."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Starting", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)
