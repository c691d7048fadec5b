"""The clock: calls a job when its moment comes, and never twice at once. It alone knows the scheduler."""

from __future__ import annotations

import datetime as dt
import logging
import threading
from typing import TYPE_CHECKING

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from apscheduler.events import JobExecutionEvent, JobSubmissionEvent
    from apscheduler.triggers.cron import CronTrigger

_LOOK_S = 1.0


def keep_time(
    triggers: Mapping[str, CronTrigger],
    tick: Callable[[str], object],
    late: Callable[[str], None],
    broken: Callable[[str, BaseException], None],
    stop: threading.Event,
    grace_s: float,
) -> bool:
    """Call `tick` with each name, now and whenever its moment comes, until `stop` is set.

    Names are ticked side by side, one never twice at once: a moment that comes while it is still busy is
    passed over, and `late` told. Moments that were slept through are one. What `tick` raises is told to
    `broken`, and the next moment comes all the same. Returns whether all had come to an end `grace_s`
    seconds after `stop`.
    """
    # What it says of a tick that is passed over is said by `late`.
    logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)
    scheduler = BackgroundScheduler(
        executors={"default": ThreadPoolExecutor(len(triggers))},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        timezone=dt.UTC,
    )

    def hear(event: JobSubmissionEvent | JobExecutionEvent) -> None:
        if event.code == EVENT_JOB_MAX_INSTANCES:
            late(event.job_id)
        else:
            broken(event.job_id, event.exception)

    scheduler.add_listener(hear, EVENT_JOB_MAX_INSTANCES | EVENT_JOB_ERROR)
    for name, trigger in triggers.items():
        scheduler.add_job(tick, trigger, args=[name], id=name, next_run_time=dt.datetime.now(dt.UTC))
    scheduler.start()
    # A look each second: once a day was scored, SIGINT does not wake a thread that waits for good. What
    # pyarrow does with that signal while it reads is the likely reason.
    while not stop.wait(_LOOK_S):
        pass
    ending = threading.Thread(target=scheduler.shutdown, daemon=True)
    ending.start()
    ending.join(grace_s)
    return not ending.is_alive()
