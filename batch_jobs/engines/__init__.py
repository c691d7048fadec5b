"""Engines: where splits are scored. An engine maps a function over them, and gives back what it returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from batch_jobs.results import SplitResult
    from batch_jobs.splits import Split


class Engine(Protocol):
    """Where splits are scored."""

    def map(
        self, score: Callable[[Split], SplitResult], splits: Sequence[Split]
    ) -> Iterator[tuple[Split, SplitResult]]:
        """Score each split once, wherever; yield each with its result, in whichever order they are done.

        Raises what `score` raises, and begins no more splits then.
        """
