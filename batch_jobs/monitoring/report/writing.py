"""Writes the report of a period to a file, or to S3."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from batch_jobs.errors import JobFileError
from batch_jobs.monitoring.alerts.retraining import last_of
from batch_jobs.monitoring.report.content import sections, tiles
from batch_jobs.monitoring.report.page import write_page
from storage import data_uri

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from batch_jobs.monitoring.alarms import Alarms
    from batch_jobs.monitoring.watch import Watch


def render(watch: Watch, alarms: Alarms, since: dt.date, to: dt.date) -> str:
    """Return the page of a period, both ends included, as HTML."""
    job, monitor = watch.job, watch.monitor
    days = watch.table.read(since, to)
    events = [event for event in alarms.log.read() if since <= event.date <= to]
    marks = {event.name: alarms.log.marks(event) for event in events}
    done = {name: found for name in marks if (found := last_of(marks[name])) is not None}
    said = (
        f"{job.model} from {since} to {to}; {len(days)} days were measured.",
        f"Figures: {watch.table.uri}",
    )
    title = f"{job.name}: how it is doing"
    return write_page(title, said, tiles(days, monitor, events), sections(monitor, days, events, done))


def publish(
    watch: Watch,
    alarms: Alarms,
    since: dt.date,
    to: dt.date,
    environment: Mapping[str, str],
    out: Path | None = None,
) -> list[str]:
    """Write the page to `out` and below the job's `report`, as far as they are given; return where to."""
    page = render(watch, alarms, since, to).encode()
    written = []
    if out is not None:
        beside = out.with_name(f".{out.name}.part")
        try:
            beside.write_bytes(page)
            beside.replace(out)
        except OSError as error:
            raise JobFileError(f"{out} cannot be written: {error.strerror}") from error
        written.append(str(out))
    if watch.monitor.report is not None:
        uri = f"{data_uri(watch.monitor.report, environment)}/{since}_{to}.html"
        with tempfile.TemporaryDirectory(prefix="greenroom-") as folder:
            path = Path(folder) / "report.html"
            path.write_bytes(page)
            watch.store.upload(uri, path, "text/html; charset=utf-8")
        written.append(uri)
    return written
