"""One monitored day: read, measure, write once, record. A day whose inputs did not change stays as it is."""

from __future__ import annotations

import datetime as dt
import hashlib
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from batch_jobs.errors import JobFileError, UnfitDataError
from batch_jobs.monitoring.figures import DayFigures
from batch_jobs.monitoring.quality import measure_quality, measure_volumes
from batch_jobs.monitoring.reading import Days
from batch_jobs.monitoring.record import Recorder
from batch_jobs.monitoring.references import References
from batch_jobs.monitoring.shifts import Shifts
from batch_jobs.monitoring.table import FigureTable
from storage import S3Settings, Store, data_uri

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from batch_jobs.job import BatchJob
    from batch_jobs.monitoring.figures import Figure
    from batch_jobs.monitoring.rows import DayRows
    from registry import Registry

# Counts up when the same inputs would give other figures.
_FORMAT = 1
# Below the table of figures, beside its own files.
_REFERENCES = "_references"


@dataclass(frozen=True)
class DayReport:
    """What came of a monitored day. `measured` is False where nothing had changed."""

    job: str
    date: dt.date
    table: str
    measured: bool
    figures: tuple[Figure, ...]
    table_version: int | None = None
    run_id: str = ""
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0


class Watch:
    """Monitors a job, day after day in one process: what was read of a day is kept for the next."""

    def __init__(self, job: BatchJob, registry: Registry, environment: Mapping[str, str]) -> None:
        if job.monitor is None:
            raise JobFileError(f"batch_jobs/{job.name}.yaml declares no monitor; docs/monitoring.md says how")
        settings = S3Settings.from_environment(environment)
        self.store = store = Store.connect(settings)
        self.job, self.monitor = job, job.monitor
        self.table = FigureTable(data_uri(job.monitor.output, environment), store, settings)
        self._days = Days(job, job.monitor, store, settings, environment)
        self._recorder = Recorder(registry, job)
        references = References(f"{self.table.uri}/{_REFERENCES}", registry, store, settings)
        self._shifts = Shifts(self._days, references, job.monitor)

    @classmethod
    def connect(cls, job: BatchJob, environment: Mapping[str, str]) -> Watch:
        """Connect as the standard variables say; nothing is sent yet."""
        import registry

        return cls(job, registry.connect(environment), environment)

    def day(self, date: dt.date) -> list[DayReport]:
        """Measure a day, and again those shortly before it whose outcomes changed; the day itself comes last.

        Raises `UnfitDataError` where nothing of the day is published.
        """
        late, window = self.monitor.late_days, self.monitor.window_days
        span = [date - dt.timedelta(days=n) for n in range(late + window - 1, -1, -1)]
        self._days.look(span)
        self.table.look()
        before = self.table.read(span[window - 1], date)
        return [
            self._measure(day, span[nth - window + 1 : nth + 1], before.get(day))
            for nth, day in enumerate(span)
            if nth >= window - 1 and (day == date or day in before)
        ]

    def _measure(self, date: dt.date, window: Sequence[dt.date], before: DayFigures | None) -> DayReport:
        started = time.monotonic()
        digest = self._digest(window)
        if before is not None and before.inputs_digest == digest:
            return DayReport(
                self.job.name,
                date,
                self.table.uri,
                measured=False,
                figures=before.figures,
                run_id=before.run_id,
            )
        days = self._days.batch(window)
        if date not in days or not len(days[date]):
            raise UnfitDataError(
                f"No scored row of {date} is published, so there is nothing to monitor. Run it first: python"
                f" -m batch_jobs run {self.job.name} --date {date}"
            )
        run_id = self._recorder.begin(str(date))
        try:
            figures, warnings = self._figures(list(days.values()), self._online(date, window))
            found = DayFigures(date, tuple(figures), digest, run_id)
            measured = [*days.values(), *self._online(date, window)]
            digests = {version: said for day in measured for version, said in day.digests.items()}
            version = self.table.write(found, digests)
        except BaseException as error:
            with suppress(Exception):
                self._recorder.fail(run_id, error)
            raise
        self._recorder.finish(run_id, found, self.table.uri, version, warnings)
        seconds = round(time.monotonic() - started, 3)
        return DayReport(
            self.job.name,
            date,
            self.table.uri,
            measured=True,
            figures=found.figures,
            table_version=version,
            run_id=run_id,
            warnings=tuple(warnings),
            seconds=seconds,
        )

    def _figures(self, batch: Sequence[DayRows], online: Sequence[DayRows]) -> tuple[list[Figure], list[str]]:
        figures: list[Figure] = []
        warnings: list[str] = []
        for days in (batch, online):
            if days:
                quality, unmeasured = measure_quality(days, self.monitor)
                drifted, without = self._shifts.drift(days)
                figures += measure_volumes(days[-1]) + quality + drifted
                warnings += unmeasured + without
        if online:
            figures += self._shifts.skew(online[-1])
        return figures, warnings

    def _online(self, date: dt.date, window: Sequence[dt.date]) -> list[DayRows]:
        """Return the rows answered in a window, where its last day has any."""
        found = self._days.online(window) if self.monitor.exposures else {}
        # Answers of another model, or none that succeeded, are no rows of this one.
        return list(found.values()) if date in found and len(found[date]) else []

    def _digest(self, window: Sequence[dt.date]) -> str:
        declared = asdict(self.monitor)
        # How it is told, and who is told, changes no figure.
        for name in ("alerts", "webhook", "retrain", "report"):
            declared.pop(name)
        said = [str(_FORMAT), repr(declared), *(f"{day} {self._days.digest(day)}" for day in window)]
        return hashlib.sha256("\n".join(said).encode()).hexdigest()
