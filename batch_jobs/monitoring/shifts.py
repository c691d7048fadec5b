"""How rows shifted: from those of training, and of the endpoint from the job's. Reads each day once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from batch_jobs.monitoring.drift import count_rows, kinds_of, measure_features, together
from batch_jobs.monitoring.figures import Figure
from batch_jobs.monitoring.online import skew
from batch_jobs.monitoring.rows import typed

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from batch_jobs.conform import ColumnKind
    from batch_jobs.monitoring.declared import Monitor, Source
    from batch_jobs.monitoring.drift import Counts
    from batch_jobs.monitoring.reading import Days
    from batch_jobs.monitoring.references import Reference, References
    from batch_jobs.monitoring.rows import DayRows

_AT_ONCE = 8


class Shifts:
    """Measures drift and skew of days. What was counted of an unchanged day is kept for the next window."""

    def __init__(self, days: Days, references: References, monitor: Monitor) -> None:
        self._days, self._references, self._monitor = days, references, monitor
        self._counts: dict[tuple[Source, dt.date, int], tuple[str, Counts]] = {}

    def drift(self, days: Sequence[DayRows]) -> tuple[list[Figure], list[str]]:
        """Measure the last of some days, and all of them, against the rows that its versions saw."""
        last = days[-1]
        figures: list[Figure] = []
        warnings = []
        for version, digest in last.digests.items():
            reference = self._references.of(last.model, version, digest)
            if reference is None:
                warnings.append(self._references.warnings[digest])
                continue
            mine = [day for day in days if version in day.versions]
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                counts = list(pool.map(lambda day, v=version, r=reference: self._counted(day, v, r), mine))
            of = Figure(last.source, version, "", 0, 0)
            figures += measure_features(reference, counts[-1], of, self._monitor.drift)
            of = replace(of, days=self._monitor.window_days)
            figures += measure_features(reference, together(counts), of, self._monitor.drift)
        return figures, warnings

    def skew(self, online: DayRows) -> list[Figure]:
        """Measure how far the endpoint's rows are from the job's of the same key, of all versions."""
        version = max(online.scored, key=lambda number: (online.scored[number], number))
        reference = self._references.of(online.model, version, online.digests[version])
        kinds = kinds_of(reference) if reference else {}
        of = Figure("online", version, "skew_share", 0, 0)
        differing: dict[str, tuple[int, int]] = {}
        for day in self._days.batch(self._days.near(online.date)).values():
            found = skew(online, self._columns(online, kinds), day, self._columns(day, kinds))
            for name, (differ, compared) in found.items():
                before = differing.get(name, (0, 0))
                differing[name] = (before[0] + differ, before[1] + compared)
        return [
            figure
            for name, (differ, rows) in differing.items()
            if rows
            for figure in (
                replace(of, value=differ / rows, rows=rows, feature=name),
                replace(of, metric="skew_rows", value=differ, rows=rows, feature=name),
            )
        ]

    def _counted(self, day: DayRows, version: int, reference: Reference) -> Counts:
        key = (day.source, day.date, version)
        digest = self._days.digest(day.date)
        if self._counts.get(key, ("", {}))[0] != digest:
            rows = day.only(day.versions == version)
            features = self._columns(rows, kinds_of(reference))
            self._counts[key] = (digest, count_rows(reference, features, rows.predicted))
        return self._counts[key][1]

    def _columns(self, rows: DayRows, kinds: Mapping[str, ColumnKind]) -> pa.Table:
        """Return columns of rows: as the endpoint recorded them, or as they were delivered to the job."""
        if rows.source == "online":
            return typed(rows.features, kinds)
        return self._days.features(rows.date, rows.keys, kinds)
