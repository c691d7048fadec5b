"""The table of figures on S3: one commit for a day, whose files are read once."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from batch_jobs.monitoring.figures import PARTITION_BY, SCHEMA, DayFigures, lay_out, read_back
from storage import FollowedTable, commit_parts, file_columns, write_part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage import S3Settings, Store

_AT_ONCE = 8


class FigureTable:
    """The figures of a job, by day. A file never changes, so what was read of one is kept."""

    def __init__(self, uri: str, store: Store, settings: S3Settings) -> None:
        self.uri = uri
        self._store = store
        self._settings = settings
        self._kept: dict[str, DayFigures] = {}
        self._live: dict[str, dt.date] = {}
        self._log = FollowedTable(uri, settings)

    def look(self) -> None:
        """Find out which days there are now."""
        files = self._log.live_files()
        self._live = {file.path: dt.date.fromisoformat(file.partition["date"]) for file in files}

    def write(self, day: DayFigures, digests: Mapping[int, str]) -> int:
        """Replace the figures of a day in one commit; return the version of the table that it brought.

        Raises `CommitConflictError` where somebody writes that day at the same moment.
        """
        partition = {"date": str(day.date)}
        part = write_part(self.uri, partition, lay_out(day, digests), SCHEMA, self._store)
        parts = [] if part is None else [part]
        where = ("date", str(day.date))
        version = commit_parts(self.uri, parts, SCHEMA, where, PARTITION_BY, self._settings)
        self._live = {path: date for path, date in self._live.items() if date != day.date}
        if part is not None:
            self._kept[part.path] = day
            self._live[part.path] = day.date
        return version

    def read(self, since: dt.date = dt.date.min, to: dt.date = dt.date.max) -> dict[dt.date, DayFigures]:
        """Read the figures of some days, both ends included, as of the last `look`; in the order of days."""
        wanted = {path: date for path, date in self._live.items() if since <= date <= to}
        new = [path for path in wanted if path not in self._kept]
        if new:
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                tables = pool.map(lambda path: file_columns(self.uri, path, None, self._store), new)
                for path, table in zip(new, tables, strict=True):
                    self._kept[path] = read_back(wanted[path], table)
        return {wanted[path]: self._kept[path] for path in sorted(wanted, key=lambda path: wanted[path])}
