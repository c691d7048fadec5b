"""Exposures and feedback as rows of their tables, both partitioned by the UTC day. Pure."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from serving.recording.features import raw_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from serving.recording.exposure import Exposure, Feedback

PARTITION_BY = ("date",)
_MOMENT = pa.timestamp("us", tz="UTC")
EXPOSURES = pa.schema(
    [
        ("date", pa.date32()),
        ("prediction_id", pa.string()),
        ("row", pa.int32()),
        ("entity", pa.string()),
        ("arm", pa.string()),
        ("mode", pa.string()),
        ("model", pa.string()),
        ("model_version", pa.int64()),
        ("artifact_digest", pa.string()),
        ("prediction", pa.float32()),
        ("status", pa.int16()),
        ("latency_ms", pa.float32()),
        ("answered_at", _MOMENT),
        ("features", pa.string()),
    ]
)
FEEDBACK = pa.schema(
    [
        ("date", pa.date32()),
        ("prediction_id", pa.string()),
        ("row", pa.int32()),
        ("outcome", pa.float64()),
        ("received_at", _MOMENT),
    ]
)
_ANSWERED = 200


def exposure_rows(exposures: Sequence[Exposure], kinds_of: Callable[[str], Mapping[str, str]]) -> pa.Table:
    """Return a row for each prediction, and one without a prediction for each answer that failed.

    `kinds_of` says the columns of the signature of an artifact, by its digest.
    """
    columns: dict[str, list[Any]] = {name: [] for name in EXPOSURES.names}
    for each in exposures:
        predictions = np.frombuffer(each.predictions, "<f4").tolist() or [None]
        count, at = len(predictions), _moment(each.answered_at)
        features = None
        if each.body and each.status == _ANSWERED:
            features = raw_rows(each.content_type, each.body, kinds_of(each.digest))
        once = {
            "date": at.date(),
            "prediction_id": each.prediction_id,
            "entity": each.entity,
            "arm": each.arm,
            "mode": each.mode,
            "model": each.model,
            "model_version": each.version,
            "artifact_digest": each.digest,
            "status": each.status,
            "latency_ms": 1000 * each.latency_s,
            "answered_at": at,
        }
        for name, value in once.items():
            columns[name] += [value] * count
        columns["row"] += range(count)
        columns["prediction"] += predictions
        # Another count of rows than of predictions: which is whose can not be told.
        known = features is not None and len(features) == count
        columns["features"] += features if known and features else [None] * count
    return pa.table(columns, EXPOSURES)


def feedback_rows(feedback: Sequence[Feedback]) -> pa.Table:
    """Return a row for each outcome."""
    moments = [_moment(each.received_at) for each in feedback]
    columns = {
        "date": [moment.date() for moment in moments],
        "prediction_id": [each.prediction_id for each in feedback],
        "row": [each.row for each in feedback],
        "outcome": [each.outcome for each in feedback],
        "received_at": moments,
    }
    return pa.table(columns, FEEDBACK)


def _moment(epoch_s: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(epoch_s, dt.UTC)
