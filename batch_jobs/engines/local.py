"""One machine: splits side by side in threads. What takes time in reading and scoring leaves the GIL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from batch_jobs.results import SplitResult
    from batch_jobs.splits import Split


@dataclass(frozen=True)
class Threads:
    """So many splits at a time, in this process."""

    workers: int

    def map(
        self, score: Callable[[Split], SplitResult], splits: Sequence[Split]
    ) -> Iterator[tuple[Split, SplitResult]]:
        """Score each split, `workers` of them at a time."""
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="split")
        try:
            asked = {pool.submit(score, split): split for split in splits}
            for done in as_completed(asked):
                yield asked[done], done.result()
        finally:
            pool.shutdown(cancel_futures=True)
