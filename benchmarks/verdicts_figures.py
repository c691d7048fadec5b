"""The figures of live comparisons, for people and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from benchmarks.verdicts import EVERY, LEAST_DECIDED, MOST_FALSE, WITHIN
from benchmarks.verdicts_worlds import LEVEL, POWER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.verdicts import Figures, RatioFigures, Way


def is_held(figures: Sequence[Figures], ratio: RatioFigures) -> bool:
    """Whether everything holds that comparisons promise."""
    return ratio.is_held and all(found.is_held for found in figures)


def as_json(figures: Sequence[Figures], ratio: RatioFigures, seconds: float) -> str:
    """Return one line: the extremes, then each world's figures."""
    return json.dumps(
        {
            "benchmark": "verdicts",
            "experiments": ratio.experiments,
            "looks_every": EVERY,
            "level": LEVEL,
            "power": POWER,
            "most_false": max(found.ours.false for found in figures),
            "least_decided": min(found.ours.decided[str(WITHIN)] for found in figures),
            "most_false_by_peeking": max(found.peeking.false for found in figures),
            "ratio_false": ratio.false,
            "is_held": is_held(figures, ratio),
            "seconds": round(seconds, 1),
            "figures": [asdict(found) for found in figures],
            "ratio": asdict(ratio),
        }
    )


def print_tables(figures: Sequence[Figures], ratio: RatioFigures) -> None:
    """Print what is said of equal versions and of changed ones, and of shares."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=120)
    console.print(
        f"Live comparisons of {ratio.experiments} simulated experiments each, looked at after every {EVERY}"
        f" outcomes (of a shadow, pairs)\nup to {WITHIN} times the sample of a t-test of {POWER:.0%} power\n"
    )
    equal = Table(
        box=None, pad_edge=False, title_justify="left", title="Equal versions: a difference is found in"
    )
    for head in (
        "traffic",
        "t-test's sample",
        "ours",
        "t-test, once",
        "t-test, peeking",
        "ours: no difference",
    ):
        equal.add_column(head, justify="left" if head == "traffic" else "right", no_wrap=head == "traffic")
    changed = Table(
        box=None,
        pad_edge=False,
        title_justify="left",
        title="\nChanged versions: found, and when (1: that sample)",
    )
    for head in ("traffic", "effect", *(f"ours by {n}" for n in range(1, WITHIN + 1)), "half by", "80 % by"):
        changed.add_column(head, justify="left" if head == "traffic" else "right", no_wrap=head == "traffic")
    for head in ("wrong", "t-test, once", "peeking: half by"):
        changed.add_column(head, justify="right")
    for found in figures:
        false = (f"{way.false:.1%}" for way in (found.ours, found.t_test, found.peeking))
        equal.add_row(found.world, f"{found.fixed:,}", *false, f"{found.no_difference:.1%}")
        changed.add_row(
            found.world,
            f"{found.effect:+.3g}",
            *(f"{share:.1%}" for share in found.ours.decided.values()),
            *_times(found.ours),
            f"{found.ours.wrong:.1%}",
            f"{found.t_test.decided['1']:.1%}",
            _times(found.peeking)[0],
        )
    console.print(equal)
    console.print(changed)
    half = "never" if ratio.half_by is None else f"{ratio.half_by:,} outcomes"
    console.print(
        f"\nShares of 90 and 10 %, looked at {ratio.outcomes // EVERY} times, at alpha {ratio.alpha:g}:"
        f" called a mismatch in {ratio.false:.2%}\n"
        f"(by a chi-square test, peeking, in {ratio.chi_square_peeking_false:.2%});"
        f" 91 and 9 % in {ratio.found:.1%}, half of them by {half}.\n"
        f"\nPromised: a difference between equal versions in at most {MOST_FALSE:.0%}; one between changed"
        f" versions, within {WITHIN} times\nthe sample, in at least {LEAST_DECIDED:.0%}.\n"
    )


def _times(way: Way) -> tuple[str, str]:
    half, most = (f"{at:.2f}" if at is not None else "never" for at in (way.half_by, way.most_by))
    return half, most
