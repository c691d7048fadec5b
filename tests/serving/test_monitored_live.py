"""What a live endpoint answered and heard, monitored beside what the batch job scored of the same day."""

from __future__ import annotations

import datetime as dt
import io
import time
import uuid
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import requests
from commands import As
from deltalake import DeltaTable
from endpoints import serving
from served_house import wait_for

from batch_jobs.__main__ import main
from evidence import METRICS
from storage import S3Settings, Store, live_files

if TYPE_CHECKING:
    from pathlib import Path

    from endpoints import Endpoint

FLIGHTS = "s3://greenroom/flight_delay"
ASKED, FED_BACK, WARMER = 60, 25, 4


@pytest.fixture
def today() -> dt.date:
    """The day of what is answered now, which must not end before it is monitored."""
    now = dt.datetime.now(dt.UTC)
    if now.time() > dt.time(23, 55):
        time.sleep(301)
    return dt.datetime.now(dt.UTC).date()


@pytest.fixture
def settings(operator: As) -> S3Settings:
    return S3Settings.from_environment(operator.environment)


@pytest.fixture
def flights(in_production: int, settings: S3Settings, today: dt.date) -> tuple[str, pa.Table]:
    """Where flights of the first of July lie as if they were of today, and these with their delays."""
    assert in_production == 1
    store, root = Store.connect(settings), f"s3://greenroom/live/{uuid.uuid4().hex}"
    found = {}
    for what in ("features", "outcomes"):
        (pinned,) = store.snapshot(f"{FLIGHTS}/{what}/date=2013-07-01").objects
        body = store.open(pinned).read()
        found[what] = pq.read_table(io.BytesIO(body))
        store.write(f"{root}/flight_delay/{what}/date={today}/part-0.parquet", body)
    return root, found["features"].join(found["outcomes"].select(["flight_id", "arr_delay"]), "flight_id")


def figures(root: str, settings: S3Settings, **wanted: object) -> list[dict[str, Any]]:
    table = DeltaTable(f"{root}/flight_delay/monitoring", storage_options=settings.delta_options())
    return [
        row
        for row in table.to_pyarrow_table().to_pylist()
        if all(row[name] == value for name, value in wanted.items())
    ]


def recorded(table: str, settings: S3Settings) -> int:
    files = live_files(table, [], settings)
    return sum(file.rows for file in files or ())


def ask(endpoint: Endpoint, row: dict[str, Any]) -> tuple[str, float]:
    """Ask about a flight; return the id of the answer and the prediction."""
    flight = row.pop("flight_id")
    answer = requests.post(
        f"{endpoint.url}/invocations",
        json={"dataframe_records": [row]},
        headers={"X-Entity-Key": flight},
        timeout=30,
    )
    answer.raise_for_status()
    return answer.headers["X-Prediction-ID"], answer.json()["predictions"][0]


def test_answers_of_the_endpoint_are_measured_beside_the_days_batch(
    operator: As,
    flights: tuple[str, pa.Table],
    settings: S3Settings,
    today: dt.date,
    tmp_path: Path,
) -> None:
    root, table = flights
    known = table.filter(pc.is_valid(table["arr_delay"])).slice(0, ASKED)
    late = np.asarray(pc.greater(known["arr_delay"], 15).to_numpy(), np.float64)
    rows = known.drop_columns(["arr_delay"])
    asked = rows.to_pylist()
    for row in asked[:WARMER]:
        row["temp"] += 20.0  # what the job is given is another temperature
    environment = {"GREENROOM_DATA": root}
    own = {**operator.environment, **environment, "GREENROOM_CACHE_DIR": str(tmp_path / "cache")}
    with serving(tmp_path, own, "flight-delay") as endpoint:
        answers = [ask(endpoint, row) for row in asked]
        # Of one the client knows that it came otherwise than the outcomes say, and is nearer to it.
        told = [
            {"prediction_id": name, "outcome": 1.0 - late[n] if n == 0 else late[n]}
            for n, (name, _) in enumerate(answers[:FED_BACK])
        ]
        heard = requests.post(f"{endpoint.url}/feedback", json={"outcomes": told}, timeout=30)
        assert heard.status_code == 202, heard.text
        wait_for(lambda: recorded(f"{root}/flight_delay/exposures", settings) == ASKED)
        wait_for(lambda: recorded(f"{root}/flight_delay/feedback", settings) == FED_BACK)

    scored = operator(main, "run", "flight_delay", "--date", str(today), **environment)
    assert scored.code == 0, scored.err
    ran = operator(main, "monitor", "flight_delay", "--date", str(today), "--no-alerts", **environment)
    assert ran.code == 0, ran.err

    def figure(metric: str, **more: object) -> dict[str, Any]:
        wanted = {"source": "online", "metric": metric, "slice": "all", "days": 1}
        (found,) = figures(root, settings, **(wanted | more))
        return found

    assert figure("scored")["value"] == ASKED
    assert figure("labelled")["value"] == ASKED
    late[0] = 1.0 - late[0]
    predicted = np.asarray([prediction for _, prediction in answers])
    for name in ("auc", "brier"):
        assert figure(name)["value"] == pytest.approx(METRICS[name].of(late, predicted), abs=1e-6)
    skewed = {row["feature"]: row for row in figures(root, settings, metric="skew_rows")}
    assert {name: row["value"] for name, row in skewed.items() if name != "prediction" and row["value"]} == {
        "temp": WARMER
    }
    assert all(row["rows"] == ASKED for row in skewed.values())
    assert 0 < skewed["prediction"]["value"] <= WARMER
    assert figure("psi", feature="temp")["rows"] == ASKED
