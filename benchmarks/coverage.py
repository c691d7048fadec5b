"""How often the 95 % intervals of `evidence` hold, and how often an equal candidate is called better.

In 500 repetitions a true 95 % is seen as up to 2 % more or less, and twelve shares are held against 93 to
97 %: one of them is often outside by chance. Hence 2000.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.coverage_days import MEASURED, simulate, truth
from evidence import METRICS, Resampling, difference, estimate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from evidence import Estimate

DAYS = (31, 90)
LEAST, MOST = 0.93, 0.97
MOST_CALLED_BETTER = 0.05

_SEED = 2013
_SPEED_ROWS, _SPEED_DAYS = 28_000, 31


@dataclass(frozen=True)
class Coverage:
    """Of one metric over as many days: shares of the repetitions.

    `single` and `paired` are how often the intervals of the candidate, and of candidate - champion, hold
    the truth; `called_better` is how often a candidate as good as the champion is found better than it.
    """

    metric: str
    days: int
    single: float
    paired: float
    called_better: float

    @property
    def is_held(self) -> bool:
        """Whether the intervals hold as often as they promise."""
        covered = all(LEAST <= share <= MOST for share in (self.single, self.paired))
        return covered and self.called_better <= MOST_CALLED_BETTER


def run(days: int, repetitions: int, notify: Callable[[str], None] = lambda _: None) -> list[Coverage]:
    """Simulate windows of so many days again and again; one result for each metric."""
    candidate, champion = truth()
    random = np.random.default_rng([_SEED, days])
    held = {(name, kind): 0 for name in MEASURED for kind in ("single", "paired", "better")}
    for repetition in range(repetitions):
        draws = Resampling(seed=repetition)
        unequal, equal = (simulate(random, days, equal=equal) for equal in (False, True))
        for name in MEASURED:
            metric = METRICS[name]
            label, ours, theirs = unequal.of(name)
            single = estimate(metric, label, ours, unequal.day, draws)
            paired = difference(metric, label, ours, theirs, unequal.day, draws)
            of_equals = difference(metric, *equal.of(name), equal.day, draws)
            held[name, "single"] += _holds(single, candidate[name])
            held[name, "paired"] += _holds(paired, candidate[name] - champion[name])
            held[name, "better"] += _is_better(of_equals, higher_is_better=bool(metric.higher_is_better))
        notify(f"{days} days")
    shares = {key: count / repetitions for key, count in held.items()}
    return [
        Coverage(name, days, shares[name, "single"], shares[name, "paired"], shares[name, "better"])
        for name in MEASURED
    ]


def time_auc() -> float:
    """Return the seconds for AUC of two models and their difference: 28,000 rows, 31 days, 1000 resamples."""
    random = np.random.default_rng(_SEED)
    label = (random.random(_SPEED_ROWS) < 0.25).astype(np.float64)  # noqa: PLR2004  # about as many are late
    ours, theirs = random.random(_SPEED_ROWS), random.random(_SPEED_ROWS)
    day = random.integers(0, _SPEED_DAYS, _SPEED_ROWS)
    started = time.perf_counter()
    for predicted in (ours, theirs):
        estimate(METRICS["auc"], label, predicted, day)
    difference(METRICS["auc"], label, ours, theirs, day)
    return time.perf_counter() - started


def as_json(found: Sequence[Coverage], repetitions: int, auc_s: float) -> str:
    """Return one line: the extremes, then each metric's own figures."""
    shares = [share for c in found for share in (c.single, c.paired)]
    return json.dumps(
        {
            "benchmark": "coverage",
            "repetitions": repetitions,
            "level": 0.95,
            "least_coverage": min(shares),
            "most_coverage": max(shares),
            "most_called_better": max(c.called_better for c in found),
            "is_held": is_held(found),
            "auc_s": round(auc_s, 3),
            "figures": [asdict(c) for c in found],
        }
    )


def is_held(found: Sequence[Coverage]) -> bool:
    """Whether every interval holds as often as it promises."""
    return all(c.is_held for c in found)


def print_table(found: Sequence[Coverage], repetitions: int) -> None:
    """Print a line for each metric and number of days."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for head in ("days", "metric", "of one model", "of the difference", "equal called better"):
        table.add_column(head, justify="left" if head == "metric" else "right")
    for c in found:
        shares = (f"{share:.1%}" for share in (c.single, c.paired, c.called_better))
        table.add_row(str(c.days), c.metric, *shares)
    console = Console(width=110)
    console.print(f"How often 95 % intervals hold the truth, in {repetitions} simulated windows\n")
    console.print(table)
    by_chance = 2 * np.sqrt(0.95 * 0.05 / repetitions)
    console.print(f"\nBy chance alone a share of 95 % is seen as up to {by_chance:.1%} more or less.\n")


def _holds(found: Estimate, true: float) -> bool:
    return found.low is not None and found.high is not None and found.low <= true <= found.high


def _is_better(found: Estimate, *, higher_is_better: bool) -> bool:
    if found.low is None or found.high is None:
        return False
    return found.low > 0 if higher_is_better else found.high < 0
