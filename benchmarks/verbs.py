"""What each benchmark does: measure, print a table, and then the JSON object; return the exit code.

What a benchmark needs is imported by it alone: some of it takes seconds.
"""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

# As in `serving_servers`, which takes a second to import.
SERVERS = (
    *("greenroom", "greenroom_2", "mlflow", "mlflow_2", "mlserver", "bentoml", "litserve"),
    *("floor", "floor_threads", "floor_2", "hello"),
)


def registry(options: argparse.Namespace) -> int:
    """Measure concurrent reviews, and what a transition costs."""
    from benchmarks.registry_actors import running_actors
    from benchmarks.registry_calls import UnexpectedAnswerError
    from benchmarks.registry_engines import Engine, run
    from benchmarks.registry_figures import as_json, is_held, print_table
    from benchmarks.registry_rounds import ACTORS

    engines = [Engine(name) for name in options.engine or tuple(Engine)]
    steps = len(engines) * (2 * options.rounds + options.calls)
    try:
        with running_actors(ACTORS) as actors, _progress(steps) as notify:
            figures = [run(engine, actors, options.rounds, options.calls, notify) for engine in engines]
    except UnexpectedAnswerError as error:
        return fail(error, 1)
    except EOFError:
        return fail("an actor or the poller ended early; what it said is above", 1)
    if not options.json:
        print_table(figures)
    print(as_json(figures, options.rounds))
    return 0 if is_held(figures) else 1


def coverage(options: argparse.Namespace) -> int:
    """Measure how often the intervals of validation hold."""
    from benchmarks.coverage import DAYS, as_json, is_held, print_table, run, time_auc

    with _progress(len(DAYS) * options.repetitions, "simulating the truth") as notify:
        figures = [found for days in DAYS for found in run(days, options.repetitions, notify)]
    if not options.json:
        print_table(figures, options.repetitions)
    print(as_json(figures, options.repetitions, time_auc()))
    return 0 if is_held(figures) else 1


def verdicts(options: argparse.Namespace) -> int:
    """Measure how often live comparisons are wrong under continuous peeking."""
    from benchmarks.verdicts import run, run_ratio
    from benchmarks.verdicts_figures import as_json, is_held, print_tables
    from benchmarks.verdicts_worlds import WORLDS

    names = [world.name for world in WORLDS]
    if unknown := [name for name in options.world if name not in names]:
        return fail(f"there is no world {unknown[0]!r}, only {'; '.join(names)}", 2)
    worlds = [world for world in WORLDS if world.name in (options.world or names)]
    started = time.perf_counter()
    with _progress((2 * len(worlds) + 1) * options.experiments, "simulating the truth") as notify:
        figures = [run(world, options.experiments, notify) for world in worlds]
        ratio = run_ratio(options.experiments, notify)
    if not options.json:
        print_tables(figures, ratio)
    print(as_json(figures, ratio, time.perf_counter() - started))
    return 0 if is_held(figures, ratio) else 1


def training(options: argparse.Namespace) -> int:
    """Measure the memory of training."""
    from benchmarks.training_figures import as_json, is_held, print_table
    from benchmarks.training_memory import STEPS, run

    with _progress(STEPS) as notify:
        figures = run(options.times, notify)
    if not options.json:
        print_table(figures)
    print(as_json(figures))
    return 0 if is_held(figures) else 1


def reference(options: argparse.Namespace) -> int:
    """Measure the AUC of our trainer beside a published one."""
    from benchmarks.reference import OtherFlightsError, run, steps
    from benchmarks.reference_figures import as_json, is_held, print_table

    try:
        with _progress(steps(options.splits)) as notify:
            found = run(options.splits, notify)
    except OtherFlightsError as error:
        return fail(error, 1)
    if not options.json:
        print_table(found)
    print(as_json(found))
    return 0 if is_held(found) else 1


def batch(options: argparse.Namespace) -> int:
    """Measure the speed and memory of batch jobs."""
    from benchmarks.batch import Asked, run
    from benchmarks.batch_figures import as_json, broken, print_tables
    from benchmarks.batch_picture import draw

    if options.peers is not None and not options.peers.exists():
        return fail(f"there is no Python at {options.peers}; `make bench-batch` sets one up", 2)
    asked = Asked(options.millions, options.rounds, options.growth, options.peers)
    with _progress(asked.steps) as notify:
        found = run(asked, notify)
    if options.picture and found.growth:
        draw(found.growth, options.picture)
    if not options.json:
        print_tables(found)
    print(as_json(found))
    return 1 if broken(found) or found.unable else 0


def serving(options: argparse.Namespace) -> int:
    """Measure the latency of the endpoint."""
    from benchmarks.serving import Asked, run
    from benchmarks.serving_json import as_json
    from benchmarks.serving_promises import broken
    from benchmarks.serving_tables import print_tables

    if options.peers is not None and not options.peers.exists():
        return fail(f"there is no Python at {options.peers}; `make bench-serving` sets one up", 2)
    names = [name for name in SERVERS if name not in options.without]
    asked = Asked(options.seconds, options.rounds, names, options.peers and options.peers.absolute())
    with _progress(asked.steps) as notify:
        found = run(asked, notify)
    if not options.json:
        print_tables(found)
    print(as_json(found))
    return 1 if broken(found) or found.unable else 0


def storms(options: argparse.Namespace) -> int:
    """Measure the endpoint while versions change, under a crowd, and when a worker dies."""
    from benchmarks.storms import STEPS, Asked, run
    from benchmarks.storms_figures import as_json, broken, print_table

    with _progress(STEPS) as notify:
        found = run(Asked(options.seconds, options.reign), notify)
    if not options.json:
        print_table(found)
    print(as_json(found))
    return 1 if broken(found) else 0


def shadows(options: argparse.Namespace) -> int:
    """Measure the latency of the champion beside its shadow."""
    from benchmarks.serving_load import UnexpectedAnswerError
    from benchmarks.shadows import run
    from benchmarks.shadows_figures import as_json, broken, print_table

    try:
        with _progress(options.rounds) as notify:
            found = run(options.rounds, options.seconds, notify)
    except UnexpectedAnswerError as error:
        return fail(error, 1)
    if not options.json:
        print_table(found)
    print(as_json(found))
    return 1 if broken(found) else 0


@contextmanager
def _progress(steps: int, first: str = "starting servers") -> Iterator[Callable[[str], None]]:
    """Show a bar on a terminal; in a pipe nothing."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(first, total=steps)
        yield lambda what: bar.update(task, advance=1, description=what)


def fail(error: object, code: int) -> int:
    """Say what is wrong; return the exit code."""
    print(f"benchmarks: {error}", file=sys.stderr)
    return code
