"""Counts by arm, of all workers and of the processes that try versions, in memory that they share.

As in `tally`, each process writes to cells of its own. A place (`slot`) of a model is an arm for as long as a
routes file says so; its first cell holds which one, so that what another arm counted there is not added up.
"""

from __future__ import annotations

import mmap
import os
from bisect import bisect_left
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from serving.watching.layout import BOUNDS_S

if TYPE_CHECKING:
    from collections.abc import Mapping

CHAMPION_SLOT = 0
# The champion's, and one for each challenger that a routes file may have.
SLOTS = 1 + 8

_FLOAT64_BYTES = 8
_ARM, _REQUESTS, _ERRORS, _DROPS, _NO_ENTITY, _UNRECORDED, _SECONDS = range(7)
_BUCKETS_FROM = 7
_CELLS = _BUCKETS_FROM + len(BOUNDS_S) + 1
# Two arms with the same number would have to be in the same place one after the other.
_NAME_BYTES = 6


@dataclass(frozen=True)
class ArmCounts:
    """What an arm counted so far; `buckets` are answers by how long they took, `BOUNDS_S` and beyond."""

    requests: float
    errors: float
    drops: float
    no_entity: float
    unrecorded: float
    seconds: float
    buckets: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class ArmTallies:
    """Rows of all workers, and one of the processes beside them, each of which has a slot to itself there."""

    file: int
    workers: int
    models: int
    _cells: memoryview[float]

    @classmethod
    def create(cls, workers: int, models: int) -> ArmTallies:
        """Make rows of zeros, in memory without a name, which processes that are started can inherit."""
        file = os.memfd_create("greenroom-arms")
        os.ftruncate(file, (workers + 1) * models * SLOTS * _CELLS * _FLOAT64_BYTES)
        return cls.open(file, workers, models)

    @classmethod
    def open(cls, file: int, workers: int, models: int) -> ArmTallies:
        """Use the memory behind an open file."""
        return cls(file, workers, models, memoryview(mmap.mmap(file, 0)).cast("d"))

    def cells(self, row: int, model: int, slot: int) -> memoryview[float]:
        """Return the cells of one arm in one row; that of processes beside the workers is the last."""
        first = ((row * self.models + model) * SLOTS + slot) * _CELLS
        return self._cells[first : first + _CELLS]

    def counts(self, model: int, slots: Mapping[str, int]) -> dict[str, ArmCounts]:
        """Add up what all processes counted of the arms that have these slots now."""
        found = {}
        for arm, slot in slots.items():
            blocks = (self.cells(row, model, slot).tolist() for row in range(self.workers + 1))
            own = [block for block in blocks if block[_ARM] == _number_of(arm)]
            total = [sum(cells) for cells in zip(*own, strict=True)] or [0.0] * _CELLS
            found[arm] = ArmCounts(
                requests=total[_REQUESTS],
                errors=total[_ERRORS],
                drops=total[_DROPS],
                no_entity=total[_NO_ENTITY],
                unrecorded=total[_UNRECORDED],
                seconds=total[_SECONDS],
                buckets=tuple(total[_BUCKETS_FROM:]),
            )
        return found


class ArmTally:
    """What one process counts of one arm."""

    __slots__ = ("_cells",)

    def __init__(self, cells: memoryview[float], arm: str) -> None:
        self._cells = cells
        number = _number_of(arm)
        if cells[_ARM] != number:
            cells[_ARM] = 0  # counts as nobody's until all of it is of the new arm
            for cell in range(1, _CELLS):
                cells[cell] = 0
            cells[_ARM] = number

    def answered(self, seconds: float) -> None:
        """Count an answer."""
        cells = self._cells
        cells[_REQUESTS] += 1
        cells[_SECONDS] += seconds
        cells[_BUCKETS_FROM + bisect_left(BOUNDS_S, seconds)] += 1

    def failed(self) -> None:
        """Count a request that the arm could not answer."""
        self._cells[_REQUESTS] += 1
        self._cells[_ERRORS] += 1

    def dropped(self) -> None:
        """Count a request that a shadow did not get, or had no time for."""
        self._cells[_DROPS] += 1

    def without_entity(self) -> None:
        """Count a request that did not say what it is about."""
        self._cells[_NO_ENTITY] += 1

    def unrecorded(self) -> None:
        """Count an exposure for which the spool had no room."""
        self._cells[_UNRECORDED] += 1


def _number_of(arm: str) -> float:
    return float(1 + int.from_bytes(blake2b(arm.encode(), digest_size=_NAME_BYTES).digest(), "little"))
