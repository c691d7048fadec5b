"""Reads the rows of days, predictions, outcomes and features joined; each once, while nothing changes."""

from __future__ import annotations

import datetime as dt
import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_jobs.conform import conform
from batch_jobs.monitoring.online import EXPOSED, FED_BACK, answered, with_feedback
from batch_jobs.monitoring.rows import DayRows, aligned, chosen, look_up, settled
from batch_jobs.partition import QUARANTINED, SCORED
from storage import FollowedTable, data_uri, file_columns, read_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from batch_jobs.conform import ColumnKind
    from batch_jobs.job import BatchJob
    from batch_jobs.monitoring.declared import Monitor, Source
    from storage import LiveFile, S3Settings, Snapshot, Store

_AT_ONCE = 8
_EMPTY = {"row": pa.int32(), "outcome": pa.float64()}
_PREDICTED = ("prediction", "model", "model_version", "artifact_digest")


class Days:
    """The days of a job. `look` asks what is there now; what was read of an unchanged day is kept."""

    def __init__(
        self,
        job: BatchJob,
        monitor: Monitor,
        store: Store,
        settings: S3Settings,
        environment: Mapping[str, str],
    ) -> None:
        self._job, self._monitor = job, monitor
        self._store, self._settings = store, settings
        self._table = data_uri(job.output, environment)
        self._logs: dict[str, FollowedTable] = {}
        self._input = data_uri(job.input, environment)
        self._outcomes = data_uri(monitor.outcomes.source, environment)
        self._exposures = data_uri(monitor.exposures, environment) if monitor.exposures else None
        self._feedback = data_uri(monitor.feedback, environment) if monitor.feedback else None
        self._live: dict[dt.date, list[LiveFile]] = {}
        self._exposed: dict[dt.date, list[LiveFile]] = {}
        self._fed: dict[dt.date, list[LiveFile]] = {}
        self._delivered: dict[dt.date, tuple[Snapshot, Snapshot]] = {}
        self._seen: dict[dt.date, _Seen] = {}
        self._kept: dict[tuple[Source, dt.date], tuple[str, DayRows]] = {}

    def look(self, dates: Sequence[dt.date]) -> None:
        """Find out what of these days is there now: predictions, input and outcomes.

        Input and outcomes of days that are longer ago than `late_days` are looked for once by a process.
        """
        self._live = self._by_day(self._table)
        self._exposed, self._fed = self._by_day(self._exposures), self._by_day(self._feedback)
        fresh = dates[-1 - self._monitor.late_days :]
        new = [date for date in dates if date in fresh or date not in self._delivered]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = dict(zip(new, pool.map(self._deliveries, new), strict=True))
        self._delivered = {date: found.get(date) or self._delivered[date] for date in dates}
        self._seen = {date: self._see(date) for date in dates}
        # A process that goes on for years would hold all their rows.
        self._kept = {key: kept for key, kept in self._kept.items() if key[1] in self._seen}

    def digest(self, date: dt.date) -> str:
        """SHA-256 over all that the rows of a day come from; equal means that nothing changed."""
        return self._seen[date].digest

    def batch(self, dates: Sequence[dt.date]) -> dict[dt.date, DayRows]:
        """Return the scored rows of those days that are published, with the columns to slice by."""
        return self._rows("batch", [date for date in dates if self._live.get(date)], self._read)

    def online(self, dates: Sequence[dt.date]) -> dict[dt.date, DayRows]:
        """Return the rows that the endpoint answered on those days, with all columns that were recorded."""
        return self._rows("online", [date for date in dates if self._exposed.get(date)], self._read_online)

    def near(self, date: dt.date) -> list[dt.date]:
        """Return a day and those beside it that were looked at: what is answered in UTC is of a local day."""
        return [day for day in (date + dt.timedelta(days=n) for n in (-1, 0, 1)) if day in self._seen]

    def outcomes(self, date: dt.date) -> tuple[pa.ChunkedArray, npt.NDArray[np.float64]]:
        """Return key and value of each outcome of a day, as delivered; both (rows,)."""
        said = self._monitor.outcomes
        kinds: dict[str, ColumnKind] = {said.key: "text", said.column: "number"}
        table = self._conformed(self._seen[date].outcomes, kinds)
        return table[said.key], _numbers(table[said.column])

    def features(self, date: dt.date, wanted: pa.ChunkedArray, kinds: Mapping[str, ColumnKind]) -> pa.Table:
        """Return columns of the day's input for the wanted keys, null where one was not found."""
        key = self._monitor.outcomes.key
        table = self._conformed(self._seen[date].input, {key: "text", **kinds}, wanted)
        return aligned(wanted, table[key], table.select(list(kinds)))

    def _by_day(self, table_uri: str | None) -> dict[dt.date, list[LiveFile]]:
        found: dict[dt.date, list[LiveFile]] = {}
        if table_uri is None:
            return found
        log = self._logs.setdefault(table_uri, FollowedTable(table_uri, self._settings))
        for file in log.live_files():
            if file.rows:
                found.setdefault(dt.date.fromisoformat(file.partition["date"]), []).append(file)
        return found

    def _deliveries(self, date: dt.date) -> tuple[Snapshot, Snapshot]:
        of_input, outcomes = (
            self._store.snapshot(uri.replace("{date}", str(date))) for uri in (self._input, self._outcomes)
        )
        return of_input, outcomes

    def _see(self, date: dt.date) -> _Seen:
        files = [*self._live.get(date, ()), *self._exposed.get(date, ()), *self._fed_of(date)]
        return _Seen(tuple(file.path for file in files), *self._delivered[date])

    def _fed_of(self, date: dt.date) -> list[LiveFile]:
        """Return the files that may hold what clients reported of a day: a little early, or days late."""
        days = range(-1, self._monitor.late_days + 2)
        return [file for n in days for file in self._fed.get(date + dt.timedelta(days=n), ())]

    def _rows(
        self, source: Source, dates: Sequence[dt.date], read: Callable[[dt.date], DayRows]
    ) -> dict[dt.date, DayRows]:
        def kept(date: dt.date) -> DayRows:
            digest, key = self.digest(date), (source, date)
            if self._kept.get(key, ("",))[0] != digest:
                self._kept[key] = (digest, read(date))
            return self._kept[key][1]

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return dict(zip(dates, pool.map(kept, dates), strict=True))

    def _read_online(self, date: dt.date) -> DayRows:
        model = self._job.model.removeprefix("models:/").partition("/")[0].partition("@")[0]
        rows = answered(self._read_files(self._exposures, self._exposed[date], EXPOSED), model, date)
        outcomes = [self.outcomes(day) for day in self.near(date)]
        keys = pa.chunked_array([chunk for key, _ in outcomes for chunk in key.chunks], pa.string())
        by_entity = settled(keys, np.concatenate([raw for _, raw in outcomes]), self._monitor.outcomes)
        label, _ = look_up(rows.keys, by_entity)
        counts: dict[str, int] = {}
        if self._feedback:
            reported, known = with_feedback(
                rows, self._read_files(self._feedback, self._fed_of(date), FED_BACK)
            )
            # What a client says of its own request is nearer to it than what lies at its entity.
            label = np.where(np.isnan(reported), label, reported)
            counts = {name: known.counts[name] for name in ("repeated", "contradicted", "unusable")}
        return replace(rows, label=label, outcomes=counts)

    def _read_files(
        self, table_uri: str | None, files: Sequence[LiveFile], columns: Sequence[str]
    ) -> pa.Table:
        read = (file_columns(str(table_uri), file.path, columns, self._store) for file in files)
        tables = [table.select(list(columns)) for table in read]
        if not tables:
            return pa.table({name: pa.array([], _EMPTY.get(name, pa.string())) for name in columns})
        return pa.concat_tables(tables, promote_options="permissive")

    def _read(self, date: dt.date) -> DayRows:
        key = self._monitor.outcomes.key
        files = [file for file in self._live[date] if file.partition["outcome"] == SCORED]
        scored = sum(file.rows for file in files)
        columns = [key, *_PREDICTED]
        parts = [file_columns(self._table, file.path, columns, self._store) for file in files]
        parts = [part.filter(pa.array(chosen(part[key], scored))) for part in parts]
        types = [pa.string(), pa.float32(), pa.string(), pa.int64(), pa.string()]
        schema = pa.schema(list(zip(columns, types, strict=True)))
        found = pa.concat_tables([schema.empty_table(), *(part.cast(schema) for part in parts)])
        known = settled(*self.outcomes(date), self._monitor.outcomes)
        label, unmatched = look_up(found[key], known)
        counts = {name: known.counts[name] for name in ("repeated", "contradicted", "unusable")}
        kinds: dict[str, ColumnKind] = {
            name: "text" if bands is None else "number" for name, bands in self._monitor.slices.items()
        }
        versions = found["model_version"].to_numpy()
        return DayRows(
            date=date,
            source="batch",
            keys=found[key],
            versions=versions,
            predicted=_numbers(found["prediction"]),
            label=label,
            features=self.features(date, found[key], kinds),
            model=found["model"][0].as_py() if len(found) else "",
            digests=dict(zip(versions.tolist(), found["artifact_digest"].to_pylist(), strict=True)),
            # All rows of a partition are of one commit, and so of one version.
            scored={int(versions[0]): scored} if len(versions) else {},
            quarantined=sum(f.rows for f in self._live[date] if f.partition["outcome"] == QUARANTINED),
            outcomes={**counts, "unmatched": unmatched},
        )

    def _conformed(
        self, snapshot: Snapshot, kinds: Mapping[str, ColumnKind], wanted: pa.ChunkedArray | None = None
    ) -> pa.Table:
        """Read columns of all files of a snapshot; only rows of wanted keys, which the first column holds."""
        key = next(iter(kinds))
        types = {name: pa.string() if kind == "text" else pa.float64() for name, kind in kinds.items()}
        schema = pa.schema(list(types.items()))
        tables = [schema.empty_table()]
        among = None if wanted is None else wanted.combine_chunks()
        for pinned in snapshot.objects:
            for batch in read_rows(self._store.open(pinned), pinned.uri):
                table = conform(batch.table, kinds, pinned.uri).table.cast(schema)
                if among is not None:
                    table = table.filter(pc.is_in(table[key], among))
                tables.append(table)
        return pa.concat_tables(tables)


class _Seen:
    """What lay there of a day: files of tables, and snapshots of input and outcomes."""

    def __init__(self, paths: tuple[str, ...], of_input: Snapshot, outcomes: Snapshot) -> None:
        self.input, self.outcomes = of_input, outcomes
        said = "\n".join((*paths, of_input.digest, outcomes.digest))
        self.digest = hashlib.sha256(said.encode()).hexdigest()


def _numbers(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    return np.asarray(column.to_numpy(), np.float64)
