"""What can be said to `python -m benchmarks`."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import verbs

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


def parser_of_all() -> argparse.ArgumentParser:
    """Return the parser; `run` among its options is what is asked for."""
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
    coverage = names.add_parser(
        "coverage", allow_abbrev=False, help="how often the intervals of validation hold, on simulated days"
    )
    coverage.add_argument(
        "--repetitions", type=_positive, default=2000, help="of each window (default: 2000)"
    )
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
    training = names.add_parser(
        "training", allow_abbrev=False, help="the memory of `mlflow run .`, beside XGBoost alone"
    )
    training.add_argument("--times", type=_positive, default=10, help="the flights of 2013 (default: 10)")
    reference = names.add_parser(
        "reference", allow_abbrev=False, help="the AUC of our trainer, beside a published one"
    )
    reference.add_argument("--splits", type=_positive, default=5, help="into 3/4 and 1/4 (default: 5)")
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
        choices=verbs.SERVERS,
        help="leave a server out (may be repeated)",
    )
    storms = names.add_parser(
        "storms",
        allow_abbrev=False,
        help="an endpoint while versions change, under a crowd, and when a worker dies",
    )
    storms.add_argument("--seconds", type=_storm_seconds, default=120, help="of each storm (default: 120)")
    storms.add_argument("--reign", type=_storm_seconds, default=10, help="seconds of a version (default: 10)")
    shadows = names.add_parser(
        "shadows", allow_abbrev=False, help="the champion beside a shadow that works, sleeps or dies"
    )
    shadows.add_argument("--rounds", type=_positive, default=12, help="of all ways in turn (default: 12)")
    shadows.add_argument("--seconds", type=_storm_seconds, default=4, help="of each way (default: 4)")
    for name, each in names.choices.items():
        each.add_argument("--json", action="store_true", help="print the JSON object only")
        each.set_defaults(run=getattr(verbs, name))
    return parser


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
