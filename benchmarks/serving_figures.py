"""What the benchmark of the endpoint found: medians and ratios over rounds, quantiles over all latencies."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROWS, CLIENTS = (1, 100), (1, 8, 32)
QUANTILES = (50, 99, 99.9)
OURS, OURS_2, HELLO = "greenroom", "greenroom_2", "hello"
# Each of these may be the better one; it is what we are held against.
MLFLOW = {"mlflow": 1, "mlflow_2": 2}
FLOOR = {"floor": 1, "floor_threads": 1}
MIB = 2**20


@dataclass(frozen=True)
class Cell:
    """One measurement: latencies, answers a second, and how much of a processor the asker itself took.

    `request_us` is the time that the server's processes had a processor, for each request: it hardly changes
    with what else the machine does.
    """

    latencies_us: tuple[int, ...]
    rate: float
    processor: float
    request_us: float

    def quantile_ms(self, percent: float) -> float:
        """Return a quantile of the latencies."""
        return float(np.percentile(self.latencies_us, percent)) / 1e3


@dataclass(frozen=True)
class Seen:
    """One server in one round: closed loops by rows and clients, and an open one at half of its most.

    `idle_bytes` and `loaded_bytes` are what all its processes take together, before and after;
    `private_bytes`, what each of the idle ones shares with no other.
    """

    ready_s: float
    idle_bytes: int
    private_bytes: int
    loaded_bytes: int
    closed: Mapping[tuple[int, int], Cell]
    half_rate: float
    half: Cell


@dataclass(frozen=True)
class Figures:
    """Each round by server, and what could not be measured, why."""

    seconds: float
    rounds: tuple[Mapping[str, Seen], ...]
    unable: Mapping[str, str]

    def median(self, name: str, what: Callable[[Seen], float]) -> float | None:
        """Return the median of the rounds of something a server did."""
        return _median([what(found[name]) for found in self.rounds if name in found])

    def pooled(self, name: str, cell: Callable[[Seen], Cell], percent: float) -> float | None:
        """Return a quantile over the latencies of all rounds, ms; None where too few say it."""
        found = [cell(each[name]).latencies_us for each in self.rounds if name in each]
        latencies = [value for each in found for value in each]
        if len(latencies) * (100 - percent) < 100:  # noqa: PLR2004  # at least one of them is beyond it
            return None
        return float(np.percentile(latencies, percent)) / 1e3

    def p50_ratio(self, others: Mapping[str, int], rows: int = 1, ours: str = OURS) -> float | None:
        """Return how many times sooner one client is answered than by the best of the others."""
        return self._ratio(ours, others, lambda seen, _: 1 / seen.closed[rows, 1].quantile_ms(50))

    def rps_ratio(self, others: Mapping[str, int], ours: str = OURS) -> float | None:
        """Return how many times more is answered to 8 clients, per worker, than by the best of the others."""
        return self._ratio(ours, others, lambda seen, workers: seen.closed[1, 8].rate / workers)

    def processor_ratio(self, others: Mapping[str, int]) -> float | None:
        """Return how many times less of a processor each request of 8 clients takes."""
        return self._ratio(OURS, others, lambda seen, _: 1 / max(seen.closed[1, 8].request_us, 1))

    def extra_worker(self, what: Callable[[Seen], int]) -> float | None:
        """Return what our second worker adds, MiB: the median of the rounds."""
        both = [each for each in self.rounds if OURS in each and OURS_2 in each]
        return _median([(what(each[OURS_2]) - what(each[OURS])) / MIB for each in both])

    def half_p99(self) -> float | None:
        """Return the p99 of one row with us at half of saturation, ms."""
        return self.pooled(OURS, lambda seen: seen.half, 99)

    @property
    def noise(self) -> float | None:
        """Return how many times as fast hello world was in its best round as in its worst."""
        rates = [each[HELLO].closed[1, 8].rate for each in self.rounds if HELLO in each]
        return max(rates) / min(rates) if rates else None

    def _ratio(
        self, ours: str, others: Mapping[str, int], goodness: Callable[[Seen, int], float]
    ) -> float | None:
        found = []
        for each in self.rounds:
            theirs = [goodness(each[name], workers) for name, workers in others.items() if name in each]
            if theirs and ours in each:
                found.append(goodness(each[ours], 1) / max(theirs))
        return _median(found)


def _median(found: list[float]) -> float | None:
    return statistics.median(found) if found else None
