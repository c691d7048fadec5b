"""Reads what was recorded in a period, and what came of it, from their tables on S3."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from serving.comparing.errors import NothingToCompareError
from serving.comparing.rows import EXPOSURE_COLUMNS, FEEDBACK_COLUMNS
from serving.errors import ServingError
from serving.recording.tables import FEEDBACK
from storage import Store, live_columns, read_rows

if TYPE_CHECKING:
    import numpy.typing as npt

    from serving.routing.declaration import Outcomes
    from storage import S3Settings

_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Period:
    """From a moment up to, and not with, another one, in UTC; None where there is no bound."""

    since: dt.datetime | None = None
    until: dt.datetime | None = None

    def filters(self) -> list[tuple[str, str, str]]:
        """Return the days of it as filters of partitions."""
        found = [("date", ">=", self.since.date().isoformat())] if self.since else []
        return found + ([("date", "<=", self.until.date().isoformat())] if self.until else [])


def read_exposures(table_uri: str, period: Period, settings: S3Settings) -> pa.Table:
    """Read the answers of a period. Raises `NothingToCompareError` where there is no table."""
    found = live_columns(table_uri, EXPOSURE_COLUMNS, period.filters(), settings)
    if found is None:
        raise NothingToCompareError(
            f"Nothing was recorded at {table_uri} yet; expected a table, which an endpoint makes whose routes"
            " file says `record:`"
        )
    at = found["answered_at"]
    for bound, holds in ((period.since, pc.greater_equal), (period.until, pc.less)):
        if bound is not None:
            moment = pa.scalar(bound, pa.timestamp("us", tz="UTC"))
            found, at = found.filter(holds(at, moment)), at.filter(holds(at, moment))
    return found


def read_feedback(table_uri: str, period: Period, settings: S3Settings) -> pa.Table:
    """Read the outcomes that may be of answers of a period: they may be a little early, and very late."""
    since = None if period.since is None else period.since - _DAY
    found = live_columns(table_uri, FEEDBACK_COLUMNS, Period(since).filters(), settings)
    return FEEDBACK.empty_table().select(FEEDBACK_COLUMNS) if found is None else found


def read_outcomes(
    table_uri: str, declared: Outcomes, settings: S3Settings
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.float64]]:
    """Read the key and the outcome of every row of a table, or of CSV and Parquet files below a prefix.

    A null key is None, an outcome that is no number NaN. Raises `ServingError` where a column is missing.
    """
    columns = (declared.key, declared.column)
    try:
        found = live_columns(table_uri, columns, [], settings)
    except KeyError:
        raise _no_column(table_uri, columns) from None
    tables = [found] if found is not None else _read_files(table_uri, columns, Store.connect(settings))
    keys = [np.asarray(t[columns[0]].cast(pa.string()).to_pylist(), np.object_) for t in tables]
    values = [_numbers(t[columns[1]]) for t in tables]
    together = np.concatenate(values) if values else np.empty(0)
    if declared.above is not None:
        together = np.where(np.isnan(together), np.nan, (together > declared.above).astype(np.float64))
    return np.concatenate(keys) if keys else np.empty(0, np.object_), together


def _read_files(prefix: str, columns: tuple[str, str], store: Store) -> list[pa.Table]:
    found = []
    for pinned in store.snapshot(prefix).objects:
        for batch in read_rows(store.open(pinned), pinned.uri):
            if not {*columns} <= {*batch.table.column_names}:
                raise _no_column(pinned.uri, columns)
            found.append(batch.table.select(list(columns)))
    return found


def _numbers(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    try:
        return np.asarray(column.cast(pa.float64()).fill_null(np.nan).to_numpy(), np.float64)
    except pa.ArrowInvalid:
        # Of CSV: one cell that is no number must not cost the others.
        return np.array([_number(cell) for cell in column.to_pylist()], np.float64)


def _number(cell: object) -> float:
    try:
        return float(str(cell))
    except ValueError:
        return float("nan")


def _no_column(where: str, columns: tuple[str, str]) -> ServingError:
    return ServingError(
        f"{where} does not have the columns {' and '.join(map(repr, columns))}, which the routes file names"
        " under outcomes: key and column"
    )
