"""How much a worker takes on at once: requests that wait for an answer, and bytes still arriving."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from serving.http.rejections import full

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Gate:
    """Counts of one worker; its event loop is the only one to touch them.

    A request waits from when it is whole to when its answer is done, and for as long as work for it goes
    on, even if nobody waits for the answer any more. While it drains, all that come are let in as before, and
    told to come back elsewhere.
    """

    most_waiting: int
    most_bytes: int
    waiting: int = 0
    held_bytes: int = 0
    is_draining: bool = False

    @property
    def is_full(self) -> bool:
        """Whether as many wait as may."""
        return self.waiting >= self.most_waiting

    def admit(self) -> bool:
        """Count one more that waits, unless as many do as may."""
        if self.is_full:
            return False
        self.waiting += 1
        return True

    def leave(self) -> None:
        """Count one less."""
        self.waiting -= 1

    @contextmanager
    def holding(self) -> Iterator[_Held]:
        """Account for a body that arrives in parts, until it is whole or given up."""
        held = _Held(self)
        try:
            yield held
        finally:
            self.held_bytes -= held.size_bytes


@dataclass
class _Held:
    gate: Gate
    size_bytes: int = 0

    def grow_to(self, size_bytes: int) -> None:
        """Hold so many bytes. Raises `RejectedError` where all bodies together would be too many."""
        grown = size_bytes - self.size_bytes
        if self.gate.held_bytes + grown > self.gate.most_bytes:
            raise full(self.gate.most_bytes)
        self.gate.held_bytes += grown
        self.size_bytes = size_bytes
