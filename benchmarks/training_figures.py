"""What the benchmark of training found: a table for people, one JSON object for machines."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

MOST_TIMES_BARE = 1.10
_MIB = 2**20


@dataclass(frozen=True)
class Peaks:
    """The most memory of a process, in bytes: after its imports only, and on the rows of a day or a year."""

    imports: int
    day: int
    year: int

    @property
    def growth(self) -> int:
        """What the year takes above the imports."""
        return self.year - self.imports


@dataclass(frozen=True)
class Figures:
    """A training that writes its labelled rows, one that finds them again, and XGBoost alone."""

    times: int
    rows: int
    first: Peaks
    again: Peaks
    bare: Peaks
    same_booster: bool

    def ratio(self, ours: Peaks) -> float:
        """Return all memory of a training as a multiple of XGBoost's."""
        return ours.year / self.bare.year

    def ratio_of_growth(self, ours: Peaks) -> float:
        """Return the same for what is above the imports."""
        return ours.growth / self.bare.growth


def is_held(found: Figures) -> bool:
    """Whether a training takes hardly more than XGBoost alone, imports and all, for the same booster."""
    ratios = (found.ratio(ours) for ours in (found.first, found.again))
    return found.same_booster and all(ratio <= MOST_TIMES_BARE for ratio in ratios)


def as_json(found: Figures) -> str:
    """Return one line: the ratios, then all that was seen."""
    return json.dumps(
        {
            "benchmark": "training",
            "times": found.times,
            "rows": found.rows,
            "ratio_first": round(found.ratio(found.first), 3),
            "ratio_again": round(found.ratio(found.again), 3),
            "growth_ratio_first": round(found.ratio_of_growth(found.first), 3),
            "growth_ratio_again": round(found.ratio_of_growth(found.again), 3),
            "same_booster": found.same_booster,
            "is_held": is_held(found),
            "peak_bytes": {name: asdict(getattr(found, name)) for name in ("first", "again", "bare")},
        }
    )


def print_table(found: Figures) -> None:
    """Print a column for each process, and what each line of ours is beside XGBoost's."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for head in (
        "MiB at the most",
        "mlflow run .\nrows written",
        "mlflow run .\nrows found",
        "XGBoost\nalone",
    ):
        table.add_column(head, justify="left" if head.startswith("MiB") else "right")
    ours, bare = (found.first, found.again), found.bare
    for title, name in (
        ("imports only", "imports"),
        ("one day", "day"),
        ("a year", "year"),
        ("a year, above the imports", "growth"),
    ):
        table.add_row(title, *(f"{getattr(peaks, name) / _MIB:,.0f}" for peaks in (*ours, bare)))
    table.add_row("ratio, in all", *(f"{found.ratio(peaks):.2f}" for peaks in ours), "1")
    table.add_row("ratio, above the imports", *(f"{found.ratio_of_growth(peaks):.2f}" for peaks in ours), "1")
    console = Console(width=110)
    console.print(f"Memory of training on {found.rows:,} flights, {found.times} times those of 2013\n")
    console.print(table)
    said = "the same" if found.same_booster else "NOT the same"
    console.print(f"\nBoth gave {said} booster, to the byte.\n")
