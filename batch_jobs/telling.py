"""What people are told of days that were scored: a sentence for each, and a bar on the way."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator

    from batch_jobs.workplace import Progress, RunReport

_REASONS_SHOWN = 5


def say(report: RunReport) -> str:
    """Say in a sentence what a run did."""
    done = f"published as version {report.table_version} of {report.table}"
    return (
        f"{report.rows:,} rows = {report.scored:,} scored"
        f" + {report.quarantined:,} quarantined, by {report.model} version {report.model_version};"
        f" {done if report.published else 'nothing to do'} ({report.seconds:.1f} s)"
    )


def to_plain(job: str, day: dt.date, came: RunReport | Exception) -> dict[str, object]:
    """Return what came of a day as data for JSON: its report, or why nothing was published."""
    if isinstance(came, Exception):
        return {"job": job, "date": day, "published": False, "error": str(came)}
    return asdict(came)


def tell(job: str, day: dt.date, came: RunReport | Exception, *, quiet: bool) -> None:
    """Print what came of a day; if `quiet`, only what is wrong with it."""
    if isinstance(came, Exception):
        print(f"batch_jobs: {job} {day}: {came}", file=sys.stderr)
        return
    for warning in came.warnings:
        print(f"batch_jobs: {job} {day}: warning: {warning}", file=sys.stderr)
    if quiet:
        return
    print(f"{job} {day}: {say(came)}", flush=True)
    if came.resumed_splits:
        print(f"  went on with {came.resumed_splits} parts of the input that were scored before", flush=True)
    for reason, count in list(came.reasons.items())[:_REASONS_SHOWN]:
        print(f"  {count:,} rows: {reason}", flush=True)


@contextmanager
def shown_progress(days: int) -> Iterator[Callable[[dt.date, Progress | None], None]]:
    """Show a bar on a terminal, nothing in a pipe: rows a second, time left, rows set aside.

    It is told how far a day is; None is that a day is done, whatever came of it.
    """
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(compact=True))
    with Bars(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task("Loading the model", total=days)
        began = time.monotonic()
        done: set[dt.date] = set()
        heard: dict[dt.date, Progress] = {}

        def show(day: dt.date, found: Progress | None) -> None:
            if found is None:
                done.add(day)
            else:
                heard[day] = found
            # Copied, because other days are told of by other threads.
            told = dict(heard)
            rows = sum(each.scored + each.quarantined for each in told.values())
            bad = sum(each.quarantined for each in told.values())
            speed = rows / max(time.monotonic() - began, 1e-9)
            parts = (each.done_bytes / max(each.of_bytes, 1) for at, each in told.items() if at not in done)
            said = f"{rows:,} rows, {speed:,.0f} a second, {bad:,} set aside"
            bars.update(task, description=f"Scoring {day}: {said}", completed=len(done) + sum(parts))

        yield show
