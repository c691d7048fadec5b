"""Figures: one number each, tidy, with what it is of; and the table that keeps those of a day. Pure.

| column | |
|---|---|
| date | the partition: the day whose rows were measured |
| source | `batch`: the job's predictions; `online`: the endpoint's answers |
| model_version, artifact_digest | what predicted |
| days | 1: the day; more: so many days that end with it, resampled as blocks for the interval |
| slice | `all`, `carrier=UA`, `distance=500 to 1000`, `prediction=0.1 to 0.2` |
| feature | the column that drifted, or `prediction`; empty for what is of whole rows |
| metric, value, low, high | low and high are null where no interval can be told |
| rows | how many it was measured on |
| inputs_digest | of all that it was measured from: equal means that nothing changed |
| run_id | the MLflow run that measured it |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from batch_jobs.monitoring.names import ALL

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from batch_jobs.monitoring.declared import Source

PARTITION_BY = ("date",)
_COLUMNS = {
    "source": pa.string(),
    "model_version": pa.int64(),
    "artifact_digest": pa.string(),
    "days": pa.int32(),
    "slice": pa.string(),
    "feature": pa.string(),
    "metric": pa.string(),
    "value": pa.float64(),
    "low": pa.float64(),
    "high": pa.float64(),
    "rows": pa.int64(),
    "inputs_digest": pa.string(),
    "run_id": pa.string(),
}
SCHEMA = pa.schema([("date", pa.date32()), *_COLUMNS.items()])


@dataclass(frozen=True)
class Figure:
    """One number of one day."""

    source: Source
    model_version: int
    metric: str
    value: float
    rows: int
    low: float | None = None
    high: float | None = None
    days: int = 1
    slice: str = ALL
    feature: str = ""


@dataclass(frozen=True)
class DayFigures:
    """All figures of a day, as they were written."""

    date: dt.date
    figures: tuple[Figure, ...]
    inputs_digest: str = ""
    run_id: str = ""

    def versions(self, source: Source) -> dict[int, int]:
        """Return how many rows each version scored, the busiest first."""
        rows = {
            each.model_version: each.rows
            for each in self.figures
            if each.metric == "scored" and each.source == source and each.slice == ALL
        }
        return dict(sorted(rows.items(), key=lambda item: (-item[1], -item[0])))


def lay_out(day: DayFigures, digests: Mapping[int, str]) -> pa.Table:
    """Lay out figures as the table's, without its partition column."""
    columns: dict[str, Sequence[object]] = {
        name: [getattr(each, name) for each in day.figures] for name in Figure.__dataclass_fields__
    }
    columns["artifact_digest"] = [digests.get(each.model_version, "") for each in day.figures]
    columns["inputs_digest"] = [day.inputs_digest] * len(day.figures)
    columns["run_id"] = [day.run_id] * len(day.figures)
    return pa.table({name: pa.array(columns[name], kind) for name, kind in _COLUMNS.items()})


def read_back(date: dt.date, table: pa.Table) -> DayFigures:
    """Return the figures of a day from what `lay_out` made of them."""
    names = list(Figure.__dataclass_fields__)
    rows = table.to_pylist()
    figures = tuple(Figure(**{name: row[name] for name in names}) for row in rows)
    first = rows[0] if rows else {"inputs_digest": "", "run_id": ""}
    return DayFigures(date, figures, first["inputs_digest"], first["run_id"])
