"""Counts of all workers of one port, in memory that they share.

Each worker writes to a row of its own and to no other, so nothing is locked; whoever is asked for metrics
adds up the rows. A cell is eight aligned bytes, so what is read of it was written at once. The row of a
worker that died goes to the one that replaces it: its counts stay.
"""

from __future__ import annotations

import mmap
from array import array
from bisect import bisect_left
from dataclasses import dataclass

from serving.watching import layout, versions
from serving.watching.layout import BOUNDS_S, STATUSES, STEPS, Layout, Reason

__all__ = ["Reason", "Tallies", "WorkerTally"]

_FLOAT64_BYTES = 8
_REASON_AT = {reason: layout.REASONS_FROM + number for number, reason in enumerate(Reason)}


@dataclass(frozen=True, eq=False)
class Tallies:
    """One row for each worker slot. Made before the fork, so that all workers have the same memory."""

    models: tuple[str, ...]
    workers: int
    layout: Layout
    _cells: memoryview[float]

    @classmethod
    def create(cls, workers: int, models: tuple[str, ...]) -> Tallies:
        """Make rows of zeros. `workers` are slots: as many as ever run at once, also during a reload."""
        if workers < 1 or not models:
            raise ValueError(f"{workers} workers for {len(models)} models; expected at least one of each")
        shape = Layout(len(models))
        memory = mmap.mmap(-1, workers * shape.cells * _FLOAT64_BYTES)
        return cls(models, workers, shape, memoryview(memory).cast("d"))

    def worker(self, slot: int) -> WorkerTally:
        """Give a worker its row, once and in its own process. From here it counts as running."""
        row = self._row(slot)
        row[layout.RUNNING] = 1
        return WorkerTally(row, self.layout)

    def take_over(self, slot: int) -> None:
        """Note that the slot's worker is gone: what it held at that moment is over, what it counted stays."""
        row = self._row(slot)
        row[layout.RUNNING] = 0
        row[layout.IN_FLIGHT] = 0
        for model in range(len(self.models)):
            block = self.layout.model(model)
            row[block + layout.LOADED_VERSION] = 0
            row[block + layout.LOADED_AT] = 0

    def rows(self) -> list[list[float]]:
        """All rows as they are now, by slot."""
        # One copy first: going from cell to cell takes so long that a worker could change versions meanwhile.
        now = array("d", self._cells.tobytes()).tolist()
        return [now[first : first + self.layout.cells] for first in range(0, len(now), self.layout.cells)]

    def _row(self, slot: int) -> memoryview[float]:
        if not 0 <= slot < self.workers:
            raise ValueError(f"worker slot {slot}; expected 0 to {self.workers - 1}")
        return self._cells[slot * self.layout.cells : (slot + 1) * self.layout.cells]


class WorkerTally:
    """What one worker counts. Models are numbers: their places in `Tallies.models`."""

    __slots__ = ("_blocks", "_predictions", "_row", "_steps")

    def __init__(self, row: memoryview[float], shape: Layout) -> None:
        self._row = row
        self._blocks = tuple(shape.model(model) for model in range(shape.models))
        self._steps = tuple(_places(shape, model) for model in range(shape.models))
        self._predictions = [versions.nowhere(block + layout.VERSIONS_FROM) for block in self._blocks]

    def answered(
        self,
        model: int,
        status: int,
        rows: int,
        read_s: float,
        parse_s: float,
        predict_s: float,
        total_s: float,
    ) -> None:
        """Count an answer, its rows, and what each step took. A step of 0 s was not reached: not counted."""
        row = self._row
        statuses, other, rows_at, read, parse, predict, total = self._steps[model]
        row[statuses.get(status, other)] += 1
        row[rows_at] += rows
        if read_s > 0:
            row[read + bisect_left(BOUNDS_S, read_s)] += 1
            row[read - 1] += read_s
        if parse_s > 0:
            row[parse + bisect_left(BOUNDS_S, parse_s)] += 1
            row[parse - 1] += parse_s
        if predict_s > 0:
            row[predict + bisect_left(BOUNDS_S, predict_s)] += 1
            row[predict - 1] += predict_s
        if total_s > 0:
            row[total + bisect_left(BOUNDS_S, total_s)] += 1
            row[total - 1] += total_s

    def rejected(self, reason: Reason) -> None:
        """Count a request that was not answered with predictions. Its status is for `answered` to count."""
        self._row[_REASON_AT[reason]] += 1

    def loaded(self, model: int, version: int, loaded_at: float) -> None:
        """Note which version the worker serves from now on (0: none), and since when (epoch seconds)."""
        block = self._blocks[model]
        if version:  # else what is still being predicted is the one before's
            self._predictions[model] = versions.switch(self._row, block + layout.VERSIONS_FROM, version)
        self._row[block + layout.LOADED_AT] = loaded_at
        self._row[block + layout.LOADED_VERSION] = version

    def predicted(self, model: int, rows: int) -> None:
        """Count rows that the version loaded last has predicted."""
        self._row[self._predictions[model]] += rows

    def refused(self, model: int) -> None:
        """Count a version that this worker could not load."""
        self._row[self._blocks[model] + layout.REFUSED] += 1

    def enter(self) -> None:
        """Note that a request is being worked on."""
        self._row[layout.IN_FLIGHT] += 1

    def leave(self) -> None:
        """Note that it is no longer."""
        self._row[layout.IN_FLIGHT] -= 1

    def line_dropped(self) -> None:
        """Count a log line that could not be written."""
        self._row[layout.LINES_DROPPED] += 1


_Places = tuple[dict[int, int], int, int, int, int, int, int]


def _places(shape: Layout, model: int) -> _Places:
    block = shape.model(model)
    first = block + layout.STATUSES_FROM
    read, parse, predict, total = (shape.buckets(model, step) for step in range(len(STEPS)))
    statuses = {status: first + number for number, status in enumerate(STATUSES)}
    return statuses, first + len(STATUSES), block + layout.ROWS, read, parse, predict, total
