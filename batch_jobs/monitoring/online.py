"""Answers of the endpoint as rows of a day, and what clients reported of them. Pure."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_jobs.monitoring.rows import DayRows, chosen, look_up
from evidence import settle

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence
    from typing import Any

    from batch_jobs.monitoring.rows import Floats
    from evidence import Settled

# What the endpoint writes down, as far as it is needed here: docs/serving.md says what each is.
EXPOSED = (
    *("prediction_id", "row", "entity", "model", "model_version"),
    *("artifact_digest", "prediction", "features"),
)
# What is appended to the columns that were recorded.
_OURS = frozenset({"_name", "_row"})
_MOST_COLUMNS = 1000
FED_BACK = ("prediction_id", "row", "outcome")


def answered(exposures: pa.Table, model: str, date: dt.date) -> DayRows:
    """Return the rows of a model that were answered on a day, shadows too; no outcome is known of them yet.

    Rows without a prediction, of requests that failed, are passed over, and so are second copies. Their keys
    are the entities that clients named; `prediction_keys` names the rows themselves.
    """
    mine = exposures.filter(
        pc.and_(pc.equal(exposures["model"], model), pc.is_valid(exposures["prediction"]))
    )
    names = prediction_keys(mine)
    _, once = np.unique(names.to_numpy(), return_index=True)
    mine, names = mine.take(np.sort(once)), names.take(np.sort(once))
    versions = mine["model_version"].to_numpy()
    scored = {version: int(count) for version, count in sorted(Counter(versions.tolist()).items())}
    mine = mine.append_column("_name", names).filter(pa.array(chosen(names, len(mine))))
    return DayRows(
        date=date,
        source="online",
        keys=mine["entity"].cast(pa.string()),
        versions=mine["model_version"].to_numpy(),
        predicted=np.asarray(mine["prediction"].to_numpy(), np.float64),
        label=np.full(len(mine), np.nan),
        features=spread(mine["features"].to_pylist()).append_column("_name", mine["_name"]),
        model=model,
        digests=dict(
            zip(mine["model_version"].to_pylist(), mine["artifact_digest"].to_pylist(), strict=True)
        ),
        scored=scored,
    )


def prediction_keys(table: pa.Table) -> pa.ChunkedArray:
    """Return what names a row of an answer: prediction id, row, and, if given, the version that answered."""
    parts = [table["prediction_id"], table["row"].cast(pa.string())]
    if "model_version" in table.column_names:
        parts.append(table["model_version"].cast(pa.string()))
    joined = pc.binary_join_element_wise(*parts, "\n")
    return joined if isinstance(joined, pa.ChunkedArray) else pa.chunked_array([joined])


def spread(rows: Sequence[str | None]) -> pa.Table:
    """Return JSON objects as columns: numbers where each value is one, else text; null if not recorded.

    Clients choose the names: of many, those that most rows have are kept, and ours are not theirs to give.
    """
    found = [json.loads(row) if row else {} for row in rows]
    often = Counter(name for row in found for name in row if name not in _OURS)
    names = [name for name, _ in often.most_common(_MOST_COLUMNS)]
    columns = {name: _column([row.get(name) for row in found]) for name in names}
    # Without any column, a table would forget how many rows it has.
    return pa.table({**columns, "_row": pa.array(range(len(rows)), pa.int64())})


def _column(values: Sequence[Any]) -> pa.Array:
    there = [value for value in values if value is not None]
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in there):
        return pa.array([None if value is None else _float(value) for value in values], pa.float64())
    return pa.array([None if value is None else str(value) for value in values], pa.string())


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number of hundreds of digits
        return math.inf if value > 0 else -math.inf


def with_feedback(rows: DayRows, feedback: pa.Table) -> tuple[Floats, Settled]:
    """Return the outcome that clients reported of each row, NaN where none did; and what was settled."""
    known = settle(
        prediction_keys(feedback).to_numpy(), np.asarray(feedback["outcome"].to_numpy(), np.float64)
    )
    # An outcome is of the request, whichever version answered it.
    names = pc.replace_substring_regex(rows.features["_name"], "\n[^\n]*$", "")
    return look_up(names, known)[0], known


def skew(
    online: DayRows, features: pa.Table, batch: DayRows, delivered: pa.Table
) -> dict[str, tuple[int, int]]:
    """Compare the endpoint's rows with the job's of the same key; by column, how many differ of how many.

    Both tables have the same columns, in the order of `online` and `batch`. Numbers are compared as the model
    sees them, as float32; `prediction` only where the same version made both. Rows whose features were not
    recorded are not compared.
    """
    place = pc.index_in(online.keys, batch.keys.combine_chunks())
    both = np.asarray(pc.is_valid(place).to_numpy(zero_copy_only=False), np.bool_)
    at = place.drop_null().to_numpy()
    recorded = np.zeros(len(online), np.bool_)
    for name in features.column_names:
        recorded |= np.asarray(pc.is_valid(features[name]).to_numpy(zero_copy_only=False), np.bool_)
    told = recorded[both]
    found = {}
    for name in features.column_names:
        ours, theirs = features[name].filter(pa.array(both)), delivered[name].take(at)
        found[name] = (int((_differ(ours, theirs) & told).sum()), int(told.sum()))
    same_version = online.versions[both] == batch.versions[at]
    ours32, theirs32 = online.predicted[both].astype(np.float32), batch.predicted[at].astype(np.float32)
    found["prediction"] = (int(((ours32 != theirs32) & same_version).sum()), int(same_version.sum()))
    return found


def _differ(ours: pa.ChunkedArray, theirs: pa.ChunkedArray) -> np.ndarray[Any, np.dtype[np.bool_]]:
    if pa.types.is_string(ours.type):
        here, there = ours.fill_null("\0").to_numpy(), theirs.fill_null("\0").to_numpy()
        return np.asarray(here != there, np.bool_)
    with np.errstate(over="ignore"):
        one, other = (np.asarray(each.to_numpy(), np.float64).astype(np.float32) for each in (ours, theirs))
    return np.asarray((one != other) & ~(np.isnan(one) & np.isnan(other)), np.bool_)
