"""The table of predictions: one row per input row, partitioned by day and outcome. Pure.

| column | |
|---|---|
| date, outcome | the partition; outcome is `scored` or `quarantined` |
| the job's row key | as delivered; null where it could not be read |
| prediction | float32; null where quarantined |
| reasons, row | why a row was quarantined, and all of it as JSON; null where scored |
| input_file, input_position | where the row came from; positions count from 0 |
| repair | the repair that the row was read from in place of that; null where none |
| model, model_version, run_id | what scored it |
| snapshot_digest, artifact_digest, suite_digest, code_digest, repairs_digest | what decides the rest |
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from batch_jobs.mending.repairs import NO_REPAIRS

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    import numpy.typing as npt

    from batch_jobs.mending.repairs import Repairs

PARTITION_BY = ("date", "outcome")
SCORED = "scored"
QUARANTINED = "quarantined"
PLAN_COLUMNS = (
    *("model", "model_version", "snapshot_digest", "artifact_digest", "suite_digest"),
    *("code_digest", "repairs_digest"),
)


@dataclass(frozen=True)
class Provenance:
    """What a partition is made from. Equal digests and version mean: nothing to do."""

    date: dt.date
    model: str
    model_version: int
    run_id: str
    snapshot_digest: str
    artifact_digest: str
    suite_digest: str
    code_digest: str
    repairs_digest: str = ""

    @property
    def plan(self) -> dict[str, object]:
        """The part that decides whether a partition is up to date: all but the run that made it."""
        return {name: getattr(self, name) for name in PLAN_COLUMNS}

    @property
    def plan_digest(self) -> str:
        """SHA-256 over the day and the plan."""
        lines = [f"{self.date}\n", *(f"{name}\t{value}\n" for name, value in self.plan.items())]
        return hashlib.sha256("".join(lines).encode()).hexdigest()


@dataclass(frozen=True)
class BadRow:
    """A row set aside: where it lay, its key as far as it could be read, all of it, and why."""

    file: str
    position: int
    key: tuple[str | None, ...]
    row: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class GoodRows:
    """Rows of one file that were scored; all of the same length. `keys` holds one array per key column."""

    file: str
    positions: npt.NDArray[np.int64]
    keys: tuple[pa.ChunkedArray, ...]
    predictions: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.predictions)

    def only(self, kept: npt.NDArray[np.bool_]) -> GoodRows:
        """Return the rows that a mask of shape (rows,) keeps."""
        keys = tuple(column.filter(pa.array(kept)) for column in self.keys)
        return GoodRows(self.file, self.positions[kept], keys, self.predictions[kept])


def schema_of(row_key: Sequence[str]) -> pa.Schema:
    """Return the schema of the table, its partition columns first."""
    return pa.schema(
        [
            ("date", pa.date32()),
            ("outcome", pa.string()),
            *((name, pa.string()) for name in row_key),
            ("prediction", pa.float32()),
            ("reasons", pa.list_(pa.string())),
            ("row", pa.string()),
            ("input_file", pa.string()),
            ("input_position", pa.int64()),
            ("repair", pa.string()),
            ("model", pa.string()),
            ("model_version", pa.int64()),
            ("run_id", pa.string()),
            *((name, pa.string()) for name in PLAN_COLUMNS[2:]),
        ]
    )


def scored_rows(
    good: Sequence[GoodRows], row_key: Sequence[str], made: Provenance, repairs: Repairs = NO_REPAIRS
) -> pa.Table:
    """Lay out rows that were scored as the table's, without its partition columns.

    What is the same in all rows is a dictionary of one value: it costs next to nothing to write.
    """
    count = sum(map(len, good))
    numbers = np.repeat(np.arange(len(good), dtype=np.int32), [len(rows) for rows in good])
    files = pa.DictionaryArray.from_arrays(numbers, pa.array([rows.file for rows in good], pa.string()))
    keys = {
        name: pa.chunked_array([c for rows in good for c in rows.keys[nth].chunks], pa.string())
        for nth, name in enumerate(row_key)
    }
    return pa.table(
        {
            **keys,
            "prediction": np.concatenate([rows.predictions for rows in good]),
            "reasons": pa.nulls(count, pa.list_(pa.string())),
            "row": pa.nulls(count, pa.string()),
            "input_file": files,
            "input_position": np.concatenate([rows.positions for rows in good]),
            "repair": pa.chunked_array([_repair(rows, repairs) for rows in good], pa.string()),
            **_constants(made, count),
        }
    )


def quarantined_rows(
    bad: Sequence[BadRow], row_key: Sequence[str], made: Provenance, repairs: Repairs = NO_REPAIRS
) -> pa.Table:
    """Lay out rows that were set aside as the table's, without its partition columns."""
    keys = {name: pa.array([row.key[nth] for row in bad], pa.string()) for nth, name in enumerate(row_key)}
    return pa.table(
        {
            **keys,
            "prediction": pa.nulls(len(bad), pa.float32()),
            "reasons": pa.array([list(row.reasons) for row in bad], pa.list_(pa.string())),
            "row": pa.array([row.row for row in bad], pa.string()),
            "input_file": pa.array([row.file for row in bad], pa.string()),
            "input_position": pa.array([row.position for row in bad], pa.int64()),
            "repair": pa.array([repairs.name(row.file, row.position) for row in bad], pa.string()),
            **_constants(made, len(bad)),
        }
    )


def _repair(rows: GoodRows, repairs: Repairs) -> pa.Array:
    # Rows that are repaired come in batches of their own, so of most there is nothing to look up.
    mine = repairs.rows.get(rows.file)
    if not mine or not np.isin(rows.positions, list(mine)).any():
        return pa.nulls(len(rows), pa.string())
    return pa.array([repairs.name(rows.file, position) for position in rows.positions.tolist()], pa.string())


def _constants(made: Provenance, count: int) -> dict[str, pa.Array]:
    names = ("model", "model_version", "run_id", *PLAN_COLUMNS[2:])
    first = np.zeros(count, np.int32)
    return {
        name: pa.repeat(pa.scalar(made.model_version, pa.int64()), count)
        if name == "model_version"
        else pa.DictionaryArray.from_arrays(first, pa.array([getattr(made, name)], pa.string()))
        for name in names
    }
