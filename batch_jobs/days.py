"""Days of a job, scored side by side. An unfit one does not keep the others waiting."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from typing import TYPE_CHECKING

from batch_jobs.errors import UnfitDataError
from batch_jobs.run import run_partition
from storage import UnreadableFileError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Sequence

    from batch_jobs.job import BatchJob
    from batch_jobs.workplace import Progress, RunReport, Workplace
    from registry import AnyScorer

# A small day waits for S3 and MLflow most of the time.
AT_ONCE = 4


def score_days(
    job: BatchJob,
    days: Sequence[dt.date],
    scorer: AnyScorer,
    at: Workplace,
    *,
    at_once: int,
    watch: Callable[[dt.date, Progress], None],
    stop: threading.Event | None = None,
) -> Iterator[tuple[dt.date, RunReport | UnfitDataError | UnreadableFileError]]:
    """Score so many days side by side; yield each with its report, or why it is unfit, when it is done.

    The days share the engine, so that they take as much memory as one. What is no day's own fault (a server
    that is down, another writer) is raised; so is `KeyboardInterrupt`, where `stop` is set. Then, and where
    the caller goes away, days under way end after the splits that they are at, and no others begin.
    """
    over, asked_to_stop = threading.Event(), stop or threading.Event()
    share = max(1, at.workers // at_once)

    def is_over() -> bool:
        return over.is_set() or asked_to_stop.is_set()

    def score(day: dt.date) -> RunReport | UnfitDataError | UnreadableFileError:
        def heard(found: Progress) -> None:
            # In the thread of the day, where it is recorded as what ended the run.
            if is_over() and found.done_bytes < found.of_bytes:
                raise KeyboardInterrupt
            watch(day, found)

        if is_over():
            raise KeyboardInterrupt
        try:
            return run_partition(job, day, scorer, replace(at, progress=heard, workers=share))
        except (UnfitDataError, UnreadableFileError) as error:
            return error

    pool = ThreadPoolExecutor(at_once, thread_name_prefix="day")
    try:
        asked = {pool.submit(score, day): day for day in days}
        for done in as_completed(asked):
            yield asked[done], done.result()
    finally:
        over.set()
        pool.shutdown(cancel_futures=True)
