"""Answers of the endpoint: read from its tables, given their outcomes, held against the job's rows."""

from __future__ import annotations

import datetime as dt
import io
import json
import uuid
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_jobs.job import parse_job
from batch_jobs.monitoring.online import answered, prediction_keys, skew, spread, with_feedback
from batch_jobs.monitoring.reading import Days
from batch_jobs.monitoring.rows import DayRows, typed
from storage import commit_parts, write_part

if TYPE_CHECKING:
    from batch_jobs.conform import ColumnKind
    from batch_jobs.job import BatchJob
    from storage import S3Settings, Store

JULY = dt.date(2013, 7, 1)
EXPOSURES = pa.schema(
    [
        *(
            ("date", pa.date32()),
            ("prediction_id", pa.string()),
            ("row", pa.int32()),
            ("entity", pa.string()),
        ),
        *(("model", pa.string()), ("model_version", pa.int64()), ("artifact_digest", pa.string())),
        *(("prediction", pa.float32()), ("features", pa.string())),
    ]
)
FEEDBACK = pa.schema(
    [("date", pa.date32()), ("prediction_id", pa.string()), ("row", pa.int32()), ("outcome", pa.float64())]
)
KINDS: dict[str, ColumnKind] = {"temp": "number", "carrier": "text"}


def exposure(name: str, entity: str | None, prediction: float | None, **said: Any) -> dict[str, Any]:
    features = {"temp": 70, "carrier": "UA", **said.pop("features", {})}
    return {
        "prediction_id": name,
        "row": 0,
        "entity": entity,
        "model": "flight-delay",
        "model_version": 1,
        "artifact_digest": "artifact",
        "prediction": prediction,
        "features": json.dumps(features),
        **said,
    }


def table(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), EXPOSURES.remove(0))


def feedback(*rows: tuple[str, int, float]) -> pa.Table:
    names = ("prediction_id", "row", "outcome")
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], FEEDBACK.remove(0))


def test_answers_are_rows_once_and_failures_are_none() -> None:
    rows = answered(
        table(
            exposure("p1", "f1", 0.25),
            exposure("p1", "f1", 0.25),
            exposure("p1", "f2", 0.5, row=1),
            exposure("p1", "f1", 0.75, model_version=2),
            exposure("p2", None, None, status=500),
            exposure("p3", "f3", 0.5, model="another"),
        ),
        "flight-delay",
        JULY,
    )
    assert rows.scored == {1: 2, 2: 1}
    assert sorted(rows.predicted.tolist()) == [0.25, 0.5, 0.75]
    assert np.isnan(rows.label).all()


def test_feedback_is_of_the_request_whichever_version_answered() -> None:
    shadowed = [exposure("p1", "f1", 0.2, model_version=n) for n in (1, 2)]
    rows = answered(table(*shadowed, exposure("p1", "f2", 0.5, row=1)), "flight-delay", JULY)
    label, known = with_feedback(
        rows, feedback(("p1", 0, 1.0), ("p1", 0, 1.0), ("p1", 1, 0.0), ("p1", 1, 1.0), ("unknown", 0, 1.0))
    )
    by_entity = dict(zip(rows.keys.to_pylist(), label.tolist(), strict=True))
    assert by_entity["f1"] == 1
    assert np.isnan(by_entity["f2"])
    assert (label == 1).sum() == 2
    assert (known.counts["repeated"], known.counts["contradicted"]) == (1, 2)


def test_what_was_recorded_becomes_columns_of_its_type() -> None:
    found = spread(['{"temp": 7, "gust": null, "carrier": "UA"}', None, '{"temp": 7.5, "carrier": 3}'])
    assert found["temp"].to_pylist() == [7.0, None, 7.5]
    assert found["carrier"].to_pylist() == ["UA", None, "3"]
    same = typed(found, {"temp": "text", "carrier": "text", "gone": "number"})
    assert same["temp"].null_count == same["gone"].null_count == 3
    assert same["carrier"].to_pylist() == ["UA", None, "3"]


def test_a_client_that_names_columns_as_it_likes_harms_nobody() -> None:
    digits = "9" * 400
    rows = [f'{{"temp": {digits}, "_name": 1, "_row": 2}}', *(f'{{"c{n}": 1}}' for n in range(1500))]
    found = spread(rows)
    assert len(found.column_names) == 1001
    assert found["temp"][0].as_py() == float("inf")
    answers = answered(table(exposure("p", "f", 0.5, features={"_name": "x"})), "flight-delay", JULY)
    assert with_feedback(answers, feedback(("p", 0, 1.0)))[0].tolist() == [1.0]


def batch_rows(**predicted: float) -> DayRows:
    return DayRows(
        date=JULY,
        source="batch",
        keys=pa.chunked_array([pa.array(list(predicted), pa.string())]),
        versions=np.ones(len(predicted), np.int64),
        predicted=np.array(list(predicted.values())),
        label=np.full(len(predicted), np.nan),
        features=pa.table({}),
    )


def test_skew_is_the_share_of_rows_that_are_not_the_same() -> None:
    online = answered(
        table(
            exposure("p1", "f1", 0.25),
            exposure("p2", "f2", 0.25, features={"temp": 71}),
            exposure("p3", "f3", 0.25, features={"carrier": None}),
            exposure("p4", "f4", 0.25, model_version=2),
            exposure("p5", "not scored", 0.25),
            exposure("p6", None, 0.25),
            exposure("p7", "f1", 0.25, features={"temp": None, "carrier": None}),
        ),
        "flight-delay",
        JULY,
    )
    batch = batch_rows(f1=0.25, f2=0.3, f3=0.25, f4=0.9)
    delivered = pa.table({"temp": [70.00000001] * 4, "carrier": ["UA"] * 4})
    found = skew(online, typed(online.features, KINDS), batch, delivered)
    # Nothing was recorded of the last one. Versions that differ predict differently, and may.
    assert found == {"temp": (1, 4), "carrier": (1, 4), "prediction": (1, 4)}


@pytest.fixture
def job() -> BatchJob:
    root = f"s3://greenroom/{uuid.uuid4().hex}"
    return parse_job(
        "j",
        {
            "model": "models:/flight-delay/Production",
            "input": f"{root}/in/date={{date}}",
            "output": f"{root}/out",
            "row_key": ["flight_id"],
            "suites": {"input": "a", "predictions": "b"},
            "limits": {"quarantined_share": 0.1},
            "monitor": {
                "outcomes": {
                    "source": f"{root}/truth/{{date}}",
                    "key": "flight_id",
                    "column": "delay",
                    "above": 15,
                },
                "output": f"{root}/monitoring",
                "exposures": f"{root}/exposures",
                "feedback": f"{root}/feedback",
            },
        },
    )


def put(
    uri: str, date: dt.date, rows: pa.Table, schema: pa.Schema, store: Store, settings: S3Settings
) -> None:
    part = write_part(uri, {"date": str(date)}, rows, schema, store)
    assert part is not None
    commit_parts(uri, [part], schema, ("date", str(date)), ("date",), settings)


def test_outcomes_come_from_clients_and_from_the_table_by_entity(
    job: BatchJob, store: Store, s3: S3Settings
) -> None:
    monitor = job.monitor
    assert monitor is not None
    assert monitor.exposures is not None
    assert monitor.feedback is not None
    rows = [exposure(f"p{n}", f"f{n}", 0.5) for n in range(4)]
    put(monitor.exposures, JULY, table(*rows), EXPOSURES, store, s3)
    buffer = io.BytesIO()
    outcomes = pa.table({"flight_id": ["f0", "f1", "f2", "f2"], "delay": [99.0, 0.0, 20.0, 0.0]})
    pq.write_table(outcomes, buffer)
    store.write(monitor.outcomes.source.replace("{date}", str(JULY)) + "/part.parquet", buffer.getvalue())
    days = Days(job, monitor, store, s3, {})
    days.look([JULY])
    before = days.digest(JULY)
    found = days.online([JULY])[JULY]
    assert label_of(found) == {"f0": 1.0, "f1": 0.0, "f2": None, "f3": None}
    # Two days later a client says otherwise of one, and something of another.
    late = JULY + dt.timedelta(days=2)
    said = feedback(("p1", 0, 1.0), ("p2", 0, 0.0), ("early", 0, 1.0))
    put(monitor.feedback, late, said, FEEDBACK, store, s3)
    days.look([JULY])
    assert days.digest(JULY) != before
    found = days.online([JULY])[JULY]
    assert label_of(found) == {"f0": 1.0, "f1": 1.0, "f2": 0.0, "f3": None}
    assert found.scored == {1: 4}
    assert days.batch([JULY]) == {}


def label_of(rows: DayRows) -> dict[str, float | None]:
    labels = [None if np.isnan(label) else label for label in rows.label.tolist()]
    return dict(zip(rows.keys.to_pylist(), labels, strict=True))


def test_a_day_of_other_models_has_no_rows() -> None:
    rows = answered(table(exposure("p", "f", 0.5, model="x")), "flight-delay", JULY)
    assert len(rows) == 0
    assert rows.scored == {}
    assert len(prediction_keys(table())) == 0
