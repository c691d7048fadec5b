"""`python -m batch_jobs schedule`: catches jobs up whenever their moment comes, or once.

What takes time to import is imported where it is needed: `--help` should not wait for it.
"""

from __future__ import annotations

import datetime as dt
import os
import signal
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from batch_jobs.scheduling.events import Event
    from batch_jobs.scheduling.schedule import Schedule

# Kubernetes kills thirty seconds after it asks.
_GRACE_S = 20.0
_AGAIN = "Tried again at the next tick"


def schedule(options: argparse.Namespace) -> int:
    """Catch up the jobs named, or all that have a schedule: once, or until a signal ends it."""
    schedules = _schedules(options.jobs)
    tell, stop = partial(_tell, as_json=options.json), threading.Event()
    if options.once:
        return max(map(_ticking(options, tell, stop), schedules))
    for asked in (signal.SIGTERM, signal.SIGINT):
        signal.signal(asked, lambda *_: stop.set())
    from batch_jobs.scheduling.clock import keep_time
    from batch_jobs.scheduling.events import Event, Kind

    tick = _ticking(options, tell, stop)
    for name, found in schedules.items():
        tell(Event(Kind.SCHEDULED, name, f"now, and at {found}"))

    def late(name: str) -> None:
        tell(Event(Kind.WARNING, name, "still busy with the tick before; this one is passed over"))

    def broken(name: str, error: BaseException) -> None:
        said = f"{type(error).__name__}: {error}; this is a fault of ours, please report it. {_AGAIN}"
        tell(Event(Kind.FAILED, name, said, code=1))

    triggers = {name: found.trigger for name, found in schedules.items()}
    ended = keep_time(triggers, tick, late, broken, stop, _GRACE_S)
    for name in schedules:
        left = "" if ended else "; a day under way was left, and the next start goes on with it"
        tell(Event(Kind.STOPPED, name, f"a signal asked for it{left}"))
    if not ended:
        # Threads that wait for a server would keep the process; to the next start they are a killed run.
        os._exit(0)
    return 0


def _ticking(
    options: argparse.Namespace, tell: Callable[[Event], None], stop: threading.Event
) -> Callable[[str], int]:
    """Return what catches a job up, whatever goes wrong with it, and returns the exit code of that."""
    from batch_jobs.days import AT_ONCE
    from batch_jobs.engines import start
    from batch_jobs.exit_codes import exit_code, failures
    from batch_jobs.job import read_job
    from batch_jobs.scheduling.catching_up import catch_up
    from batch_jobs.scheduling.events import Event, Kind
    from batch_jobs.workplace import Workplace

    workers = options.workers or os.cpu_count() or 1
    engine, expected = start(options.engine, workers, os.environ), tuple(failures())
    at_once = options.days_at_once or AT_ONCE

    def tick(name: str) -> int:
        code = 0
        try:
            # Read again each time: somebody may have corrected its limits or suites.
            found = _schedules([name])[name]
            at = Workplace.connect(os.environ, engine, workers)
            now = dt.datetime.now(dt.UTC)
            for event in catch_up(read_job(name), found, now, at, at_once, stop):
                tell(event)
                code = max(code, event.code)
        except KeyboardInterrupt:
            if not stop.is_set():
                raise
        except expected as error:
            code = max(code, exit_code(error))
            said = str(error) if options.once else f"{error}. {_AGAIN}"
            tell(Event(Kind.FAILED, name, said, code=exit_code(error)))
        return code

    return tick


def _schedules(names: Sequence[str]) -> dict[str, Schedule]:
    """Read the schedules of jobs, by default of all that have one. Raises `JobFileError` for one without."""
    from batch_jobs.errors import JobFileError
    from batch_jobs.job import job_names, read_job

    found = {name: read_job(name).schedule for name in names or job_names()}
    schedules = {name: schedule for name, schedule in found.items() if schedule is not None}
    missing = [name for name in names if name not in schedules]
    if missing or not schedules:
        which = f"batch_jobs/{missing[0]}.yaml has no" if missing else "No job has a"
        raise JobFileError(
            f"{which} schedule. Add one, as: schedule: {{cron: '15 6 * * *', timezone: UTC, days_back: 7}}"
        )
    return schedules


def _tell(event: Event, *, as_json: bool) -> None:
    now = dt.datetime.now(dt.UTC)
    line = event.to_json(now) if as_json else event.line(now)
    # In one piece: lines of several jobs may meet.
    stream = sys.stderr if event.is_trouble else sys.stdout
    stream.write(f"{line}\n")
    stream.flush()
