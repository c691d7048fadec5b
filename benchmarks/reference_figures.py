"""What the benchmark of AUC found: a table for people, one JSON object for machines."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from statistics import mean
from typing import TYPE_CHECKING

from benchmarks.reference_flights import ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence

PUBLISHED_AUC = 0.764

# The published figure is of one split; by chance alone one differs from another by 0.002 and more.
_NEAR = 0.005


@dataclass(frozen=True)
class Found:
    """Test AUC of one split."""

    seed: int
    logistic: float
    ours: float


def is_held(found: Sequence[Found]) -> bool:
    """Whether the set-up is the introduction's, and our trainer does no worse on any split."""
    logistic = mean(f.logistic for f in found)
    return abs(logistic - PUBLISHED_AUC) <= _NEAR and all(f.ours >= PUBLISHED_AUC for f in found)


def as_json(found: Sequence[Found]) -> str:
    """Return one line: the means beside the published figure, then each split."""
    return json.dumps(
        {
            "benchmark": "reference",
            "source": 'tidymodels.org, "Preprocess your data with recipes"',
            "published_auc": PUBLISHED_AUC,
            "logistic_auc": round(mean(f.logistic for f in found), 4),
            "auc": round(mean(f.ours for f in found), 4),
            "least_auc": round(min(f.ours for f in found), 4),
            "rows": ROWS,
            "is_held": is_held(found),
            "splits": [asdict(f) for f in found],
        }
    )


def print_table(found: Sequence[Found]) -> None:
    """Print a line for each split, below the published figure."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for head in ("split", "logistic regression, R (published)", "the same, scikit-learn", "our trainer"):
        table.add_column(head, justify="right")
    for f in found:
        table.add_row(str(f.seed), "", f"{f.logistic:.4f}", f"{f.ours:.4f}")
    means = (mean(f.logistic for f in found), mean(f.ours for f in found))
    table.add_row("mean", f"{PUBLISHED_AUC}", *(f"{auc:.4f}" for auc in means))
    console = Console(width=110)
    console.print(f"Test AUC on {ROWS:,} flights of 2013, late by 30 minutes or more, random 3/4 to train\n")
    console.print(table)
    console.print('\nPublished: tidymodels.org, "Preprocess your data with recipes".\n')
