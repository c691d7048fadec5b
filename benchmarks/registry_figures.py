"""What the registry benchmark found: a table for people, one JSON object for machines."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from benchmarks.registry_rounds import Tally
    from benchmarks.registry_timing import Timing


@dataclass(frozen=True)
class EngineFigures:
    """What was found on one database engine."""

    engine: str
    stock: Tally
    greenroom: Tally
    broken_chain: list[str]
    timing: Timing


def as_json(figures: Sequence[EngineFigures], rounds: int) -> str:
    """Return one line: sums over the engines, the dearest overhead, and each engine's own figures."""
    return json.dumps(
        {
            "benchmark": "registry",
            "rounds": rounds,
            "double_production_stock": sum(f.stock.double_production for f in figures),
            "double_production": sum(f.greenroom.double_production for f in figures),
            "lost_ledger_lines": sum(f.greenroom.lost_ledger_lines for f in figures),
            "alias_disagreements": sum(f.greenroom.alias_disagreements for f in figures),
            "untrue_answers": sum(f.greenroom.untrue_answers for f in figures),
            "errors": sum(f.greenroom.errors for f in figures),
            "broken_chain": sum(len(f.broken_chain) for f in figures),
            "overhead_ms": max(round(f.timing.overhead_ms, 1) for f in figures),
            "engines": {f.engine: _plain(f) for f in figures},
        }
    )


def is_held(figures: Sequence[EngineFigures]) -> bool:
    """Whether Greenroom kept every promise that the rounds tried."""
    return not any(
        f.broken_chain
        or f.greenroom.double_production
        or f.greenroom.alias_disagreements
        or f.greenroom.lost_ledger_lines
        or f.greenroom.untrue_answers
        or f.greenroom.errors
        for f in figures
    )


def print_table(figures: Sequence[EngineFigures]) -> None:
    """Print a column for each server, stock and Greenroom side by side on each engine."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for f in figures:
        table.add_column(f"{f.engine}\nstock MLflow", justify="right")
        table.add_column(f"{f.engine}\nGreenroom", justify="right")
    rows: dict[str, list[str]] = {}
    for f in figures:
        for name, stock, greenroom in _pairs(f):
            rows.setdefault(name, []).extend((stock, greenroom))
    for name, cells in rows.items():
        table.add_row(name, *cells)
    Console(width=110).print(table)


def _pairs(f: EngineFigures) -> list[tuple[str, str, str]]:
    def both(name: str, key: str) -> tuple[str, str, str]:
        return name, f"{getattr(f.stock, key):,}", f"{getattr(f.greenroom, key):,}"

    def total(name: str, key: str) -> tuple[str, str, str]:
        return (
            name,
            f"{sum(getattr(f.stock, key).values()):,}",
            f"{sum(getattr(f.greenroom, key).values()):,}",
        )

    def of_ledger(name: str, found: int) -> tuple[str, str, str]:
        return name, "no ledger", f"{found:,}"

    return [
        both("rounds of five acts at once", "rounds"),
        both("rounds with two in Production, ever", "double_production"),
        both("rounds that ended so", "double_at_end"),
        total("callers told: done", "done"),
        total("callers told: not done", "refused"),
        both("answers that were errors", "errors"),
        of_ledger("answers that were not true", f.greenroom.untrue_answers),
        of_ledger("lost ledger lines", f.greenroom.lost_ledger_lines),
        of_ledger("rounds with an alias that disagreed", f.greenroom.alias_disagreements),
        of_ledger("faults in the whole chain", len(f.broken_chain)),
        both("looks of the poller", "looks"),
        ("to Production, median ms", f"{f.timing.stock_ms:.1f}", f"{f.timing.promote_ms:.1f}"),
        ("rollback, median ms", f"{f.timing.stock_ms:.1f}", f"{f.timing.rollback_ms:.1f}"),
        ("costs more, ms", "", f"{f.timing.overhead_ms:.1f}"),
    ]


def _plain(f: EngineFigures) -> dict[str, Any]:
    return {
        "stock": asdict(f.stock),
        "greenroom": asdict(f.greenroom),
        "broken_chain": f.broken_chain,
        "timing": {**asdict(f.timing), "overhead_ms": f.timing.overhead_ms},
    }
