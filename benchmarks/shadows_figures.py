"""What clients noticed of shadows: a table for people, one JSON object, and what was promised."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.shadows import WAYS

if TYPE_CHECKING:
    from benchmarks.shadows import Shadowed

_MOST_RATIO = 1.10
_PROMISED = ("sleeps", "dies")


def broken(found: Shadowed) -> list[str]:
    """Return a sentence for each promise that was not held."""
    said = [
        f"with a shadow that {way}, the champion's p99 is {found.ratio(way):.3f} times that without"
        for way in _PROMISED
        if found.ratio(way) >= _MOST_RATIO
    ]
    if found.failed:
        said.append(f"{found.failed} answers were wrong, or none")
    return said


def print_table(found: Shadowed) -> None:
    """Print what was heard."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    headings = ("shadow", "requests", "p50 ms", "p99 ms", "p99 by none (median of rounds)", "seen", "dropped")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "shadow" else "right")
    for way in WAYS:
        took = np.concatenate(found.took_ms[way])
        ratio = "" if way == "none" else f"{found.ratio(way):.3f}"
        counts = (f"{found.seen.get(way, 0):,.0f}", f"{found.dropped.get(way, 0):,.0f}")
        middle = f"{np.percentile(took, 50):.2f}"
        table.add_row(way, f"{len(took):,}", middle, f"{found.p99_ms(way):.2f}", ratio, *counts)
    console = Console(width=118)
    console.print(table)
    for sentence in broken(found):
        console.print(f"Not held: {sentence}")


def as_json(found: Shadowed) -> str:
    """Return all figures on one line."""
    figures: dict[str, float] = {"failed": found.failed}
    for way in WAYS:
        figures[f"p99_ms_{way}"] = round(found.p99_ms(way), 3)
        if way != "none":
            figures[f"p99_ratio_{way}"] = round(found.ratio(way), 3)
            figures[f"dropped_{way}"] = found.dropped.get(way, 0)
    return json.dumps(figures)
