"""The table of predictions: one row per input row, partitioned by day and outcome. Pure.

| column | |
|---|---|
| date, outcome | the partition; outcome is `scored` or `quarantined` |
| the job's row key | as delivered; null where it could not be read |
| prediction | float32; null where quarantined |
| reasons, row | why a row was quarantined, and all of it as JSON; null where scored |
| input_file, input_position | where the row came from; positions count from 0 |
| model, model_version, run_id | what scored it |
| snapshot_digest, artifact_digest, suite_digest | from which input, with which artifact and suites |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

PARTITION_BY = ("date", "outcome")
SCORED = "scored"
QUARANTINED = "quarantined"


@dataclass(frozen=True)
class Provenance:
    """What a partition was made from. Equal digests and version mean: nothing to do."""

    date: dt.date
    model: str
    model_version: int
    run_id: str
    snapshot_digest: str
    artifact_digest: str
    suite_digest: str

    @property
    def plan(self) -> dict[str, object]:
        """The part that decides whether a partition is up to date: all but the run that made it."""
        return {name: getattr(self, name) for name in PLAN_COLUMNS}


PLAN_COLUMNS = ("model", "model_version", "snapshot_digest", "artifact_digest", "suite_digest")


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
    """Rows that were scored; all of the same length. `keys` holds one array per key column."""

    files: pa.Array
    positions: pa.Array
    keys: tuple[pa.ChunkedArray, ...]
    predictions: npt.NDArray[np.float32]


def partition_rows(
    good: GoodRows, bad: Sequence[BadRow], row_key: Sequence[str], made: Provenance
) -> pa.Table:
    """Lay out both outcomes of a partition as the table's rows."""
    n_good, n_bad = len(good.predictions), len(bad)
    count = n_good + n_bad

    def both(first: pa.Array | pa.ChunkedArray | None, second: list[object], kind: pa.DataType) -> pa.Array:
        head = pa.nulls(n_good, kind) if first is None else first.cast(kind)
        chunks = head.chunks if isinstance(head, pa.ChunkedArray) else [head]
        return pa.chunked_array([*chunks, pa.array(second, kind)], kind)

    same = {
        "model": pa.string(),
        "model_version": pa.int64(),
        "run_id": pa.string(),
        "snapshot_digest": pa.string(),
        "artifact_digest": pa.string(),
        "suite_digest": pa.string(),
    }
    keys = {
        name: both(good.keys[index], [row.key[index] for row in bad], pa.string())
        for index, name in enumerate(row_key)
    }
    return pa.table(
        {
            "date": pa.repeat(pa.scalar(made.date, pa.date32()), count),
            "outcome": pa.array([SCORED] * n_good + [QUARANTINED] * n_bad, pa.string()),
            **keys,
            "prediction": both(pa.array(good.predictions), [None] * n_bad, pa.float32()),
            "reasons": both(None, [list(row.reasons) for row in bad], pa.list_(pa.string())),
            "row": both(None, [row.row for row in bad], pa.string()),
            "input_file": both(good.files, [row.file for row in bad], pa.string()),
            "input_position": both(good.positions, [row.position for row in bad], pa.int64()),
            **{name: pa.repeat(pa.scalar(getattr(made, name), kind), count) for name, kind in same.items()},
        }
    )
