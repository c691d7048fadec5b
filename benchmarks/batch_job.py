"""Our job in a process of its own: `python -m benchmarks.batch_job DATE FOLDER` prints what it took, as JSON.

All that `python -m batch_jobs run` does is in it: connect, load the version in Production, pin, check, score,
write, look for doubles, commit once, and record it in MLflow.
"""

from __future__ import annotations

import datetime as dt
import importlib
import json
import os
import re
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batch_jobs.splits import Split
    from registry import AnyScorer

_EACH_S = 0.5


def main() -> None:
    """Score a day, and say how long it took from the start of the process, and from the loaded model."""
    from batch_jobs.memory import share_arenas

    share_arenas(os.cpu_count() or 1)  # first of all, as `python -m batch_jobs` does

    import registry
    from batch_jobs.engines import start
    from batch_jobs.job import parse_job
    from batch_jobs.run import run_partition
    from batch_jobs.splits import Split
    from batch_jobs.workplace import Workplace
    from benchmarks.batch_house import JOB, job_document
    from storage import S3Settings, Store

    date, folder = dt.date.fromisoformat(sys.argv[1]), Path(sys.argv[2])
    registry.prepare_client(os.environ)
    job = parse_job(JOB, job_document(folder))
    at_registry = registry.connect(os.environ)
    settings = S3Settings.from_environment(os.environ)
    scorer = registry.load(at_registry, job.model).side_by_side()
    workers = os.cpu_count() or 1
    engine = start(os.environ.get("BENCH_ENGINE", "local"), workers, os.environ)
    # Workers on other machines start once, and import and compile what they need; a job of ours has threads.
    for _ in engine.map(_Ready(scorer), [Split(())] * workers):
        pass
    at = Workplace(
        registry=at_registry,
        store=Store.connect(settings),
        settings=settings,
        environment=os.environ,
        progress=lambda _: None,
        engine=engine,
        workers=workers,
    )
    start_up_s = time.time() - float(os.environ["BENCH_BEGAN"])
    memory: list[tuple[float, int]] = []
    threading.Thread(target=_watch, args=[memory], daemon=True).start()
    report = run_partition(job, date, scorer, at)
    print(
        json.dumps(
            {
                "rows": report.rows,
                "quarantined": report.quarantined,
                "seconds": report.seconds,
                "start_up_s": start_up_s,
                "peak_bytes": _bytes("VmHWM"),
                "memory": memory,
            }
        )
    )


@dataclass(frozen=True)
class _Ready:
    """Whoever has a copy of the scorer has the code that it predicts by."""

    scorer: AnyScorer

    def __call__(self, _: Split) -> Any:
        importlib.import_module("batch_jobs.parts")
        time.sleep(_EACH_S)  # or one worker would do for all


def _watch(memory: list[tuple[float, int]]) -> None:
    began = time.monotonic()
    while True:
        memory.append((round(time.monotonic() - began, 2), _bytes("VmRSS")))
        time.sleep(_EACH_S)


def _bytes(name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else 0


if __name__ == "__main__":
    main()
