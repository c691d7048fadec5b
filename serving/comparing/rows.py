"""Answers and their outcomes as columns, one entry for each predicted row, and how they met. Pure.

All four kinds of outcomes are counted: `early` ones were received before their answer was given (by the
clocks of two machines, maybe), `late` ones on a later day, `never` are rows that have none, `unknown`
outcomes of no answer in the period.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from evidence import settle

if TYPE_CHECKING:
    import numpy.typing as npt

    from evidence import Settled

EXPOSURE_COLUMNS = (
    "prediction_id",
    "row",
    "entity",
    "arm",
    "mode",
    "model",
    "model_version",
    "artifact_digest",
    "prediction",
    "status",
    "latency_ms",
    "answered_at",
)
FEEDBACK_COLUMNS = ("prediction_id", "row", "outcome", "received_at")
_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Rows:
    """Predicted rows in the order in which they were answered; all arrays are (rows,).

    `keys` name a row of an answer, `units` what was assigned to an arm by chance: the entity, or the request
    where it named none. `outcomes` are NaN where there is none; `first` is true of one row of each answer.
    """

    keys: npt.NDArray[np.object_]
    units: npt.NDArray[np.object_]
    has_entity: npt.NDArray[np.bool_]
    arms: npt.NDArray[np.object_]
    modes: npt.NDArray[np.object_]
    versions: npt.NDArray[np.int64]
    digests: npt.NDArray[np.object_]
    predictions: npt.NDArray[np.float64]
    failed: npt.NDArray[np.bool_]
    latencies_ms: npt.NDArray[np.float64]
    answered_at: npt.NDArray[np.datetime64]
    first: npt.NDArray[np.bool_]
    outcomes: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.keys)

    def where(self, chosen: npt.NDArray[Any]) -> Rows:
        """Return some of the rows, by a mask or by places."""
        return Rows(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


def rows_of(exposures: pa.Table, model: str) -> tuple[Rows, dict[str, int]]:
    """Return the rows of a model, each once, without outcomes; and how many came more than once."""
    mine = exposures.filter(pc.equal(exposures["model"], model))
    mine = mine.sort_by([("answered_at", "ascending"), ("prediction_id", "ascending"), ("row", "ascending")])
    ids, numbers = _texts(mine, "prediction_id"), mine["row"].to_numpy()
    keys = _keys(mine)
    entities = mine["entity"]
    has_entity = pc.is_valid(entities).to_numpy(zero_copy_only=False).astype(np.bool_)
    rows = Rows(
        keys=keys,
        units=np.where(has_entity, _texts(mine, "entity"), ids),
        has_entity=has_entity,
        arms=_texts(mine, "arm"),
        modes=_texts(mine, "mode"),
        versions=mine["model_version"].to_numpy(),
        digests=_texts(mine, "artifact_digest"),
        predictions=mine["prediction"].cast(pa.float64()).fill_null(np.nan).to_numpy(),
        failed=mine["status"].to_numpy() >= 500,  # noqa: PLR2004  # from here on it is the server's fault
        latencies_ms=mine["latency_ms"].cast(pa.float64()).to_numpy(),
        answered_at=_moments(mine, "answered_at"),
        first=numbers == 0,
        outcomes=np.full(len(mine), np.nan),
    )
    _, once = np.unique(rows.keys + "\n" + rows.arms if len(rows) else rows.keys, return_index=True)
    return rows.where(np.sort(once)), {"exposures": len(once), "exposures_repeated": len(rows) - len(once)}


def with_feedback(rows: Rows, feedback: pa.Table) -> tuple[Rows, dict[str, int]]:
    """Give rows the outcomes that clients sent, by prediction and row; and count what was sent."""
    settled = settle(_keys(feedback), feedback["outcome"].to_numpy())
    places = _places(rows.keys, settled)
    outcomes = np.where(places >= 0, settled.values[places] if len(settled.keys) else np.nan, rows.outcomes)
    counts = {
        **{f"feedback_{name}": count for name, count in settled.counts.items()},
        "feedback_unknown": _unknown(settled, rows.keys),
        **_when(rows, feedback),
    }
    return replace(rows, outcomes=outcomes), counts


def with_outcomes(
    rows: Rows, keys: npt.NDArray[np.object_], values: npt.NDArray[np.float64]
) -> tuple[Rows, dict[str, int]]:
    """Give rows that have no outcome yet those of their entities, from a table; and count what was in it."""
    settled = settle(keys, values)
    places = np.where(rows.has_entity, _places(rows.units, settled), -1)
    found = np.where(places >= 0, settled.values[places] if len(settled.keys) else np.nan, np.nan)
    outcomes = np.where(np.isnan(rows.outcomes), found, rows.outcomes)
    counts = {f"outcomes_{name}": count for name, count in settled.counts.items()}
    counts["outcomes_unknown"] = _unknown(settled, rows.units[rows.has_entity])
    return replace(rows, outcomes=outcomes), counts


def _places(keys: npt.NDArray[np.object_], settled: Settled) -> npt.NDArray[np.int64]:
    """Return where the settled value of each key is, -1 where there is none."""
    if not len(settled.keys) or not len(keys):
        return np.full(len(keys), -1)
    at = np.minimum(np.searchsorted(settled.keys, keys), len(settled.keys) - 1)
    return np.where(settled.keys[at] == keys, at, -1)


def _unknown(settled: Settled, keys: npt.NDArray[np.object_]) -> int:
    """Count settled outcomes of none of these keys."""
    # By hash: `np.isin` compares each text with each other.
    return len(set(settled.keys.tolist()).difference(keys.tolist()))


def _when(rows: Rows, feedback: pa.Table) -> dict[str, int]:
    """Count outcomes that came before their answer, and on a later day, each row of an answer once."""
    answering = rows.where(rows.modes != "shadow")
    keys, first = np.unique(_keys(feedback), return_index=True)
    if not len(keys) or not len(answering):
        return {"feedback_early": 0, "feedback_late": 0}
    at = np.minimum(np.searchsorted(keys, answering.keys), len(keys) - 1)
    there = keys[at] == answering.keys
    received = _moments(feedback, "received_at")[first[at[there]]]
    answered = answering.answered_at[there]
    late = received.astype("datetime64[D]") - answered.astype("datetime64[D]") >= _DAY
    return {"feedback_early": int((received < answered).sum()), "feedback_late": int(late.sum())}


def _keys(table: pa.Table) -> npt.NDArray[np.object_]:
    numbers = table["row"].cast(pa.string())
    joined = pc.binary_join_element_wise(table["prediction_id"], numbers, "\n")
    return np.asarray(joined.to_numpy(zero_copy_only=False), np.object_)


def _texts(table: pa.Table, name: str) -> npt.NDArray[np.object_]:
    return np.asarray(table[name].fill_null("").to_numpy(zero_copy_only=False), np.object_)


def _moments(table: pa.Table, name: str) -> npt.NDArray[np.datetime64]:
    return np.asarray(table[name].cast(pa.timestamp("us")).to_numpy(), "datetime64[us]")
