"""What the benchmark of batch scoring found: tables for people, one JSON object for machines."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

OURS, ON_RAY, LIMIT = "greenroom", "greenroom_ray", "limit"
LEAST_SHARE_OF_LIMIT = 0.75
LEAST_RATIO = {"spark_udf": 3.5, "daft": 1.0, "polars": 1.0}
LEAST_SHARE_ON_RAY = 0.9
MOST_GROWTH = 1.10
MOST_BYTES = 2**30
LONGEST_START_S = 15.0
_MIB = 2**20
_CALLED = {
    OURS: "Greenroom: checks, quarantine, provenance, commit",
    ON_RAY: "Greenroom, --engine ray on one machine",
    LIMIT: "XGBoost alone, in memory: the limit",
    "by_hand": "read, predict, write, by hand",
    "pyfunc": "mlflow.pyfunc, file by file",
    "polars": "Polars, streaming",
    "daft": "Daft",
    "ray_data": "Ray Data map_batches",
    "spark_udf": "mlflow.pyfunc.spark_udf",
}


@dataclass(frozen=True)
class Size:
    """One run of our job on so many rows, in a process of its own: VmHWM, imports and all.

    `memory` says at which second it held how many bytes.
    """

    rows: int
    quarantined: int
    seconds: float
    start_up_s: float
    peak_bytes: int
    memory: tuple[tuple[float, int], ...] = ()


@dataclass(frozen=True)
class Figures:
    """Rows a second of each way, round by round; the growth of ours; and what could not be measured, why."""

    millions: float
    rounds: tuple[Mapping[str, float], ...]
    growth: tuple[Size, ...]
    unable: Mapping[str, str]

    def speed(self, way: str) -> float | None:
        """Return the median rate of a way, rows a second."""
        return self._median([found[way] for found in self.rounds if way in found])

    def ratio_to(self, way: str) -> float | None:
        """Return how many times as fast as a way ours is: the median of what each round says."""
        both = [found for found in self.rounds if way in found and OURS in found]
        return self._median([found[OURS] / found[way] for found in both])

    @property
    def share_on_ray(self) -> float | None:
        """Return the share of our speed that is left through Ray: the median of what each round says."""
        both = [found for found in self.rounds if ON_RAY in found and OURS in found]
        return self._median([found[ON_RAY] / found[OURS] for found in both])

    def peak(self, millions: float) -> int | None:
        """Return the most memory that ours took on so many rows, in bytes."""
        return next((size.peak_bytes for size in self.growth if size.rows == round(millions * 1e6)), None)

    @staticmethod
    def _median(found: list[float]) -> float | None:
        return statistics.median(found) if found else None


def broken(found: Figures) -> list[str]:
    """Return a sentence for each promise that was measured and not held."""
    said = []
    least = {LIMIT: LEAST_SHARE_OF_LIMIT, **LEAST_RATIO}
    for way, promised in least.items():
        ratio = found.ratio_to(way)
        if ratio is not None and ratio < promised:
            said.append(f"{ratio:.2f} times the speed of {_CALLED[way]}; expected at least {promised:g}")
    if found.share_on_ray is not None and found.share_on_ray < LEAST_SHARE_ON_RAY:
        said.append(f"{found.share_on_ray:.2f} times our own speed through Ray; expected at least 0.9")
    small, large = found.peak(3), found.peak(30)
    if small and large and large > MOST_GROWTH * small:
        said.append(f"{large / small:.2f} times the memory on 30 million rows; expected {MOST_GROWTH:g}")
    for size in found.growth:
        if size.peak_bytes > MOST_BYTES:
            said.append(f"{size.peak_bytes / _MIB:,.0f} MiB on {size.rows:,} rows; expected 1,024 at most")
        if size.start_up_s > LONGEST_START_S:
            said.append(f"{size.start_up_s:.1f} s from the command to the first row; expected 15 at most")
    return said


def as_json(found: Figures) -> str:
    """Return one line: the promises, then all that was seen."""

    def rounded(value: float | None, digits: int = 3) -> float | None:
        return None if value is None else round(value, digits)

    def mib(millions: float) -> float | None:
        peak = found.peak(millions)
        return None if peak is None else round(peak / _MIB, 1)

    return json.dumps(
        {
            "benchmark": "batch",
            "millions": found.millions,
            "share_of_limit": rounded(found.ratio_to(LIMIT)),
            **{f"ratio_to_{way}": rounded(found.ratio_to(way)) for way in list(_CALLED)[3:]},
            "share_on_ray": rounded(found.share_on_ray),
            "peak_rss_mib_3m": mib(3),
            "peak_rss_mib_30m": mib(30),
            "broken": broken(found),
            "unable": dict(found.unable),
            "rows_per_second": {way: rounded(found.speed(way), 0) for way in _CALLED},
            "growth": [{**asdict(size), "memory": None} for size in found.growth],
        }
    )


def print_tables(found: Figures) -> None:
    """Print the speed of each way, and what ours takes for more and more rows."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=110)
    speeds = Table(box=None, pad_edge=False)
    speeds.add_column("way")
    speeds.add_column("thousand rows/s", justify="right")
    speeds.add_column("of the limit", justify="right")
    limit = found.speed(LIMIT)
    for way, title in sorted(_CALLED.items(), key=lambda each: -(found.speed(each[0]) or 0)):
        speed = found.speed(way)
        share = f"{speed / limit:.2f}" if speed and limit else ""
        speeds.add_row(title, f"{speed / 1e3:,.0f}" if speed else "not measured", share)
    console.print(f"Scoring {found.millions:g} million rows on S3, {len(found.rounds)} rounds, medians\n")
    console.print(speeds)
    if found.growth:
        growth = Table(box=None, pad_edge=False)
        for head in ("rows", "seconds", "thousand rows/s", "MiB at the most", "start, seconds"):
            growth.add_column(head, justify="right")
        for size in found.growth:
            rate = f"{size.rows / size.seconds / 1e3:,.0f}"
            peak = f"{size.peak_bytes / _MIB:,.0f}"
            growth.add_row(f"{size.rows:,}", f"{size.seconds:.1f}", rate, peak, f"{size.start_up_s:.1f}")
        console.print("\nGreenroom on more and more rows\n")
        console.print(growth)
    for way, why in found.unable.items():
        console.print(f"\n{_CALLED.get(way, way)} could not be measured: {why}", markup=False)
    for sentence in broken(found):
        console.print(f"\nNot held: {sentence}", markup=False)
    console.print()
