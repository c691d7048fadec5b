"""Rows of a day: what was predicted for each, what came, and what was known when it was predicted. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_jobs.keys import hash_keys
from evidence.outcomes import settle

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    import numpy.typing as npt

    from batch_jobs.conform import ColumnKind
    from batch_jobs.monitoring.declared import Outcomes, Source
    from evidence.outcomes import Settled

    Floats = npt.NDArray[np.float64]

# Of a larger day, so many rows are measured: chosen by key, so that the same are chosen again.
MOST_ROWS = 200_000
_TYPES = {"number": pa.float64(), "text": pa.string()}


@dataclass(frozen=True)
class DayRows:
    """Scored rows of one day and source; all arrays are (rows,), `label` NaN where no outcome is known.

    `features` has columns of the rows as they were delivered, null where they were not found. `scored` and
    `quarantined` count all rows of the day, also those beyond `MOST_ROWS`.
    """

    date: dt.date
    source: Source
    keys: pa.ChunkedArray
    versions: npt.NDArray[np.int64]
    predicted: Floats
    label: Floats
    features: pa.Table
    model: str = ""
    digests: Mapping[int, str] = field(default_factory=dict)
    scored: Mapping[int, int] = field(default_factory=dict)
    quarantined: int = 0
    outcomes: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.predicted)

    def only(self, rows: npt.NDArray[np.bool_]) -> DayRows:
        """Return some of the rows; what is counted of the day stays."""
        kept = pa.array(rows)
        return replace(
            self,
            keys=self.keys.filter(kept),
            versions=self.versions[rows],
            predicted=self.predicted[rows],
            label=self.label[rows],
            features=self.features.filter(kept),
        )


def label_of(raw: Floats, outcomes: Outcomes) -> Floats:
    """Return the label of each outcome, (rows,); NaN stays NaN."""
    if outcomes.above is None:
        return raw
    return np.where(np.isfinite(raw), (raw > outcomes.above).astype(np.float64), np.nan)


def settled(keys: pa.ChunkedArray, raw: Floats, outcomes: Outcomes) -> Settled:
    """Settle outcomes by key. What contradicts is the label: two delays that are both late agree."""
    return settle(keys.to_numpy(), label_of(raw, outcomes))


def look_up(wanted: pa.ChunkedArray, known: Settled) -> tuple[Floats, int]:
    """Return the settled value of each wanted key, NaN where there is none; and how many were not wanted."""
    there = pa.array(known.keys.tolist(), pa.string())
    place = pc.index_in(wanted, there)
    found = pc.take(pa.array(known.values), place.combine_chunks() if wanted.num_chunks else place)
    matched = pc.count_distinct(place, mode="only_valid").as_py()
    return np.asarray(found.to_numpy(zero_copy_only=False), np.float64), len(there) - matched


def chosen(keys: pa.ChunkedArray, rows_of_day: int) -> npt.NDArray[np.bool_]:
    """Say which rows of a day are measured: all, or of a large one about `MOST_ROWS`."""
    if rows_of_day <= MOST_ROWS:
        return np.ones(len(keys), np.bool_)
    return hash_keys([keys]) < np.uint64(int(MOST_ROWS / rows_of_day * (2**64 - 1)))


def aligned(wanted: pa.ChunkedArray, keys: pa.ChunkedArray, table: pa.Table) -> pa.Table:
    """Return the row of `table` for each wanted key, nulls where there is none; `keys` are those it has."""
    place = pc.index_in(wanted, keys.combine_chunks())
    return table.take(place)


def typed(features: pa.Table, kinds: Mapping[str, ColumnKind]) -> pa.Table:
    """Return columns as the types they should have: nulls where a column is not there, or of another type."""
    columns = {}
    for name, kind in kinds.items():
        wanted = _TYPES[kind]
        fits = name in features.column_names and features[name].type == wanted
        columns[name] = features[name] if fits else pa.nulls(len(features), wanted)
    return pa.table({**columns, "_row": pa.array(range(len(features)), pa.int64())}).select(list(kinds))
