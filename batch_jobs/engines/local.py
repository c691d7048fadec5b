"""One machine: splits side by side in threads. What takes time in reading and scoring leaves the GIL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed, wait
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from batch_jobs.results import SplitResult
    from batch_jobs.splits import Split


class Threads:
    """So many splits at a time, in this process, of however many days that are scored at once."""

    def __init__(self, workers: int) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="split")

    def map(
        self, score: Callable[[Split], SplitResult], splits: Sequence[Split]
    ) -> Iterator[tuple[Split, SplitResult]]:
        """Score each split, where a thread is free; other days may have theirs in between."""
        asked = {self._pool.submit(score, split): split for split in splits}
        try:
            for done in as_completed(asked):
                yield asked[done], done.result()
        finally:
            for waiting in asked:
                waiting.cancel()
            wait(asked)
