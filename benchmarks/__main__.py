"""`python -m benchmarks NAME`: measure, print a table, and end with one JSON object on the last line."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_EXAMPLES = """examples:
  python -m benchmarks registry
  python -m benchmarks registry --rounds 20 --engine sqlite --json
  python -m benchmarks coverage --repetitions 500 --json
  python -m benchmarks verdicts --experiments 100
  python -m benchmarks training --times 3
  python -m benchmarks reference --splits 2
  python -m benchmarks batch --millions 1 --rounds 1 --growth 1 3
  python -m benchmarks serving --seconds 1 --rounds 1 --without mlflow_2
  python -m benchmarks storms --seconds 20 --reign 4
  python -m benchmarks shadows --rounds 4 --seconds 2

exit codes: 0 measured, 1 failed or a promise was broken, 2 usage, 75 try again, 130 interrupted"""

_MOST_MILLIONS = 1000
_MOST_SECONDS, _LONGEST_STORM_S = 60, 3600
# As in `serving_servers`, which takes a second to import.
_SERVERS = (
    *("greenroom", "greenroom_2", "mlflow", "mlflow_2", "mlserver", "bentoml", "litserve"),
    *("floor", "floor_threads", "floor_2", "hello"),
)


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    from deploy import DeployError, TransientError

    try:
        return int(options.run(options))
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except (TransientError, TimeoutError) as error:
        return _fail(error, 75)
    except DeployError as error:
        return _fail(error, 1)


def _registry(options: argparse.Namespace) -> int:
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
        return _fail(error, 1)
    except EOFError:
        return _fail("an actor or the poller ended early; what it said is above", 1)
    if not options.json:
        print_table(figures)
    print(as_json(figures, options.rounds))
    return 0 if is_held(figures) else 1


def _coverage(options: argparse.Namespace) -> int:
    from benchmarks.coverage import DAYS, as_json, is_held, print_table, run, time_auc

    with _progress(len(DAYS) * options.repetitions, "simulating the truth") as notify:
        figures = [found for days in DAYS for found in run(days, options.repetitions, notify)]
    if not options.json:
        print_table(figures, options.repetitions)
    print(as_json(figures, options.repetitions, time_auc()))
    return 0 if is_held(figures) else 1


def _verdicts(options: argparse.Namespace) -> int:
    from benchmarks.verdicts import run, run_ratio
    from benchmarks.verdicts_figures import as_json, is_held, print_tables
    from benchmarks.verdicts_worlds import WORLDS

    names = [world.name for world in WORLDS]
    if unknown := [name for name in options.world if name not in names]:
        return _fail(f"there is no world {unknown[0]!r}, only {'; '.join(names)}", 2)
    worlds = [world for world in WORLDS if world.name in (options.world or names)]
    started = time.perf_counter()
    with _progress((2 * len(worlds) + 1) * options.experiments, "simulating the truth") as notify:
        figures = [run(world, options.experiments, notify) for world in worlds]
        ratio = run_ratio(options.experiments, notify)
    if not options.json:
        print_tables(figures, ratio)
    print(as_json(figures, ratio, time.perf_counter() - started))
    return 0 if is_held(figures, ratio) else 1


def _training(options: argparse.Namespace) -> int:
    from benchmarks.training_figures import as_json, is_held, print_table
    from benchmarks.training_memory import STEPS, run

    with _progress(STEPS) as notify:
        figures = run(options.times, notify)
    if not options.json:
        print_table(figures)
    print(as_json(figures))
    return 0 if is_held(figures) else 1


def _reference(options: argparse.Namespace) -> int:
    from benchmarks.reference import OtherFlightsError, run, steps
    from benchmarks.reference_figures import as_json, is_held, print_table

    try:
        with _progress(steps(options.splits)) as notify:
            found = run(options.splits, notify)
    except OtherFlightsError as error:
        return _fail(error, 1)
    if not options.json:
        print_table(found)
    print(as_json(found))
    return 0 if is_held(found) else 1


def _batch(options: argparse.Namespace) -> int:
    from benchmarks.batch import Asked, run
    from benchmarks.batch_figures import as_json, broken, print_tables
    from benchmarks.batch_picture import draw

    if options.peers is not None and not options.peers.exists():
        return _fail(f"there is no Python at {options.peers}; `make bench-batch` sets one up", 2)
    asked = Asked(options.millions, options.rounds, options.growth, options.peers)
    with _progress(asked.steps) as notify:
        found = run(asked, notify)
    if options.picture and found.growth:
        draw(found.growth, options.picture)
    if not options.json:
        print_tables(found)
    print(as_json(found))
    return 1 if broken(found) or found.unable else 0


def _serving(options: argparse.Namespace) -> int:
    from benchmarks.serving import Asked, run
    from benchmarks.serving_json import as_json
    from benchmarks.serving_promises import broken
    from benchmarks.serving_tables import print_tables

    if options.peers is not None and not options.peers.exists():
        return _fail(f"there is no Python at {options.peers}; `make bench-serving` sets one up", 2)
    names = [name for name in _SERVERS if name not in options.without]
    asked = Asked(options.seconds, options.rounds, names, options.peers and options.peers.absolute())
    with _progress(asked.steps) as notify:
        found = run(asked, notify)
    if not options.json:
        print_tables(found)
    print(as_json(found))
    return 1 if broken(found) or found.unable else 0


def _storms(options: argparse.Namespace) -> int:
    from benchmarks.storms import STEPS, Asked, run
    from benchmarks.storms_figures import as_json, broken, print_table

    with _progress(STEPS) as notify:
        found = run(Asked(options.seconds, options.reign), notify)
    if not options.json:
        print_table(found)
    print(as_json(found))
    return 1 if broken(found) else 0


def _shadows(options: argparse.Namespace) -> int:
    from benchmarks.serving_load import UnexpectedAnswerError
    from benchmarks.shadows import run
    from benchmarks.shadows_figures import as_json, broken, print_table

    try:
        with _progress(options.rounds) as notify:
            found = run(options.rounds, options.seconds, notify)
    except UnexpectedAnswerError as error:
        return _fail(error, 1)
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


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def _millions(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < _MOST_MILLIONS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of millions, above 0")
    return found


def _seconds(text: str, most: int = _MOST_SECONDS) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds, above 0 and up to {most}")
    return found


def _storm_seconds(text: str) -> float:
    return _seconds(text, _LONGEST_STORM_S)


def _fail(error: object, code: int) -> int:
    print(f"benchmarks: {error}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure Greenroom: side by side with what one would use instead, or against the truth.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = parser.add_subparsers(required=True, metavar="NAME")
    registry = names.add_parser(
        "registry",
        allow_abbrev=False,
        help="concurrent reviews, and what a transition costs, on stock MLflow and on Greenroom",
    )
    registry.add_argument("--rounds", type=_positive, default=200, help="on each server (default: 200)")
    registry.add_argument("--calls", type=_positive, default=60, help="timed calls of a kind (default: 60)")
    registry.add_argument(
        "--engine", action="append", choices=("sqlite", "postgresql"), help="only this one; both without it"
    )
    registry.add_argument("--json", action="store_true", help="print the JSON object only")
    registry.set_defaults(run=_registry)
    coverage = names.add_parser(
        "coverage", allow_abbrev=False, help="how often the intervals of validation hold, on simulated days"
    )
    coverage.add_argument(
        "--repetitions", type=_positive, default=2000, help="of each window (default: 2000)"
    )
    coverage.add_argument("--json", action="store_true", help="print the JSON object only")
    coverage.set_defaults(run=_coverage)
    verdicts = names.add_parser(
        "verdicts",
        allow_abbrev=False,
        help="what live comparisons say under continuous peeking, beside t-tests, on simulated traffic",
    )
    verdicts.add_argument(
        "--experiments", type=_positive, default=1000, help="of each kind and world (default: 1000)"
    )
    verdicts.add_argument(
        "--world", action="append", default=[], help="only this one, as 'brier, half'; all without"
    )
    verdicts.add_argument("--json", action="store_true", help="print the JSON object only")
    verdicts.set_defaults(run=_verdicts)
    training = names.add_parser(
        "training", allow_abbrev=False, help="the memory of `mlflow run .`, beside XGBoost alone"
    )
    training.add_argument("--times", type=_positive, default=10, help="the flights of 2013 (default: 10)")
    training.add_argument("--json", action="store_true", help="print the JSON object only")
    training.set_defaults(run=_training)
    reference = names.add_parser(
        "reference", allow_abbrev=False, help="the AUC of our trainer, beside a published one"
    )
    reference.add_argument("--splits", type=_positive, default=5, help="into 3/4 and 1/4 (default: 5)")
    reference.add_argument("--json", action="store_true", help="print the JSON object only")
    reference.set_defaults(run=_reference)
    batch = names.add_parser(
        "batch", allow_abbrev=False, help="the speed of batch jobs beside XGBoost alone and other tools"
    )
    batch.add_argument("--millions", type=_millions, default=10, help="of rows, to compare on (default: 10)")
    batch.add_argument("--rounds", type=_positive, default=3, help="of all ways (default: 3)")
    batch.add_argument(
        "--growth", type=_millions, nargs="*", default=[1, 3, 10, 30], help="millions of rows, for memory"
    )
    batch.add_argument("--peers", type=Path, help="a Python that has the other tools; without it, none")
    batch.add_argument("--picture", type=Path, metavar="FILE", help="draw the memory of each size, as PNG")
    batch.add_argument("--json", action="store_true", help="print the JSON object only")
    batch.set_defaults(run=_batch)
    serving = names.add_parser(
        "serving",
        allow_abbrev=False,
        help="the latency of the endpoint beside `mlflow models serve` and other servers",
        description="Starts one server after the other on the same model, asks it for 1 and 100 rows with 1,"
        " 8 and 32 clients, and at half of what it could answer; compares every answer with XGBoost's.",
    )
    serving.add_argument("--seconds", type=_seconds, default=2, help="of each figure (default: 2)")
    serving.add_argument("--rounds", type=_positive, default=3, help="of all servers (default: 3)")
    serving.add_argument("--peers", type=Path, help="a Python that has the other servers; without it, none")
    serving.add_argument(
        "--without",
        action="append",
        default=[],
        choices=_SERVERS,
        help="leave a server out (may be repeated)",
    )
    serving.add_argument("--json", action="store_true", help="print the JSON object only")
    serving.set_defaults(run=_serving)
    storms = names.add_parser(
        "storms",
        allow_abbrev=False,
        help="an endpoint while versions change, under a crowd, and when a worker dies",
    )
    storms.add_argument("--seconds", type=_storm_seconds, default=120, help="of each storm (default: 120)")
    storms.add_argument("--reign", type=_storm_seconds, default=10, help="seconds of a version (default: 10)")
    storms.add_argument("--json", action="store_true", help="print the JSON object only")
    storms.set_defaults(run=_storms)
    shadows = names.add_parser(
        "shadows", allow_abbrev=False, help="the champion beside a shadow that works, sleeps or dies"
    )
    shadows.add_argument("--rounds", type=_positive, default=12, help="of all ways in turn (default: 12)")
    shadows.add_argument("--seconds", type=_storm_seconds, default=4, help="of each way (default: 4)")
    shadows.add_argument("--json", action="store_true", help="print the JSON object only")
    shadows.set_defaults(run=_shadows)
    return parser


if __name__ == "__main__":
    sys.exit(main())
