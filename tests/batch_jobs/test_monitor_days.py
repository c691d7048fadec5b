"""Days that were scored, monitored on the stack as an operator types it."""

from __future__ import annotations

import datetime as dt
import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import As, run_in_process
from deltalake import DeltaTable
from mlflow import MlflowClient

import deploy
from batch_jobs.__main__ import main
from evidence import METRICS
from storage import Notes, S3Settings, Store

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TABLE = "s3://greenroom/flight_delay/monitoring"
OUTCOMES = "s3://greenroom/flight_delay/outcomes"
FIRST, LAST = dt.date(2013, 12, 2), dt.date(2013, 12, 10)


@pytest.fixture(scope="module")
def settings(stack: deploy.Stack) -> S3Settings:
    return S3Settings.from_environment(stack.environment("operator"))


@pytest.fixture(scope="module")
def store(settings: S3Settings) -> Store:
    return Store.connect(settings)


@pytest.fixture(scope="module")
def monitored(roles: dict[str, dict[str, str]], in_production: int) -> list[dict[str, Any]]:
    """Nine days of December, scored and monitored, in one process each."""
    assert in_production == 1
    span = f"--from {FIRST} --to {LAST}"
    assert run_in_process(f"python -m batch_jobs backfill flight_delay {span}", roles["operator"]).code == 0
    ran = run_in_process(
        f"python -m batch_jobs monitor flight_delay {span} --no-alerts --json", roles["operator"]
    )
    assert ran.code == 0, ran.err
    found: list[dict[str, Any]] = json.loads(ran.out)
    return found


def figures(settings: S3Settings, **wanted: object) -> list[dict[str, Any]]:
    table = DeltaTable(TABLE, storage_options=settings.delta_options()).to_pyarrow_table().to_pylist()
    return [row for row in table if all(row[name] == value for name, value in wanted.items())]


def outcomes(store: Store, date: dt.date) -> tuple[str, pa.Table]:
    (pinned,) = store.snapshot(f"{OUTCOMES}/date={date}").objects
    return pinned.uri, pq.read_table(store.open(pinned))


def deliver(store: Store, uri: str, table: pa.Table) -> None:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    store.write(uri, buffer.getvalue())


def test_every_day_is_measured_once(monitored: list[dict[str, Any]], settings: S3Settings) -> None:
    assert [each["date"] for each in monitored] == [str(FIRST + dt.timedelta(days=n)) for n in range(9)]
    assert all(each["measured"] for each in monitored)
    (auc,) = figures(settings, date=LAST, metric="auc", days=1, slice="all")
    assert auc["source"] == "batch"
    assert auc["model_version"] == 1
    assert len(auc["artifact_digest"]) == 64
    assert 0.4 < auc["low"] < auc["value"] < auc["high"] < 0.95
    (window,) = figures(settings, date=LAST, metric="auc", days=28, slice="all")
    # Nine days are blocks enough for an interval.
    assert window["low"] < window["value"] < window["high"]
    assert window["rows"] > 5 * auc["rows"]


def test_the_figures_are_those_of_predictions_beside_outcomes(
    monitored: list[dict[str, Any]], settings: S3Settings, store: Store
) -> None:
    assert monitored
    predictions = DeltaTable(
        "s3://greenroom/flight_delay/predictions", storage_options=settings.delta_options()
    )
    scored = predictions.to_pandas(filters=[("date", "=", LAST), ("outcome", "=", "scored")])
    joined = scored.merge(outcomes(store, LAST)[1].to_pandas(), on="flight_id").dropna(subset="arr_delay")
    late = np.asarray(joined["arr_delay"] > 15, np.float64)
    predicted = np.asarray(joined["prediction"], np.float64)
    for name in ("auc", "log_loss", "brier"):
        (found,) = figures(settings, date=LAST, metric=name, days=1, slice="all")
        assert found["value"] == pytest.approx(METRICS[name].of(late, predicted))
        assert found["rows"] == len(joined)


def test_the_run_says_what_was_measured(
    monitored: list[dict[str, Any]], roles: dict[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in roles["operator"].items():
        monkeypatch.setenv(name, value)
    run = MlflowClient(roles["operator"]["MLFLOW_TRACKING_URI"]).get_run(monitored[-1]["run_id"])
    assert run.info.status == "FINISHED"
    assert run.info.run_name == f"flight_delay {LAST}"
    assert run.data.params == {"job": "flight_delay", "date": str(LAST)}
    assert run.data.tags["greenroom.table"] == TABLE
    assert run.data.metrics["batch/1/1d/labelled"] > 500


def test_what_did_not_change_is_not_measured_again(
    monitored: list[dict[str, Any]], operator: As, settings: S3Settings
) -> None:
    assert monitored
    before = DeltaTable(TABLE, storage_options=settings.delta_options()).version()
    ran = operator(main, "monitor", "flight_delay", "--date", str(LAST), "--no-alerts")
    assert ran.code == 0
    assert ran.out == f"flight_delay {LAST}: nothing has changed since it was measured\n"
    assert DeltaTable(TABLE, storage_options=settings.delta_options()).version() == before


def test_outcomes_that_come_late_change_the_days_they_are_of(
    monitored: list[dict[str, Any]], operator: As, settings: S3Settings, store: Store
) -> None:
    assert monitored
    earlier = LAST - dt.timedelta(days=2)
    uri, all_of_them = outcomes(store, earlier)
    contradicting = all_of_them.slice(0, 1).set_column(1, "arr_delay", pa.array([500.0]))
    on_time = all_of_them.slice(0, 1).set_column(1, "arr_delay", pa.array([-5.0]))
    deliver(store, uri, pa.concat_tables([all_of_them.slice(1, 400), on_time, contradicting, on_time]))
    try:
        ran = operator(main, "monitor", "flight_delay", "--date", str(LAST), "--no-alerts")
        assert ran.code == 0, ran.err
        assert [line.split()[1] for line in ran.out.splitlines()] == [
            f"{earlier + dt.timedelta(days=n)}:" for n in range(3)
        ]
        of_day: Mapping[str, float] = {
            row["metric"]: row["value"] for row in figures(settings, date=earlier, days=1, slice="all")
        }
        assert of_day["outcomes_contradicted"] == 3
        assert of_day["labelled"] <= 400
        assert of_day["labelled_share"] < 0.6
    finally:
        deliver(store, uri, all_of_them)
    assert operator(main, "monitor", "flight_delay", "--date", str(LAST), "--no-alerts").code == 0
    (again,) = figures(settings, date=earlier, metric="outcomes_contradicted")
    assert again["value"] == 0
    (auc,) = figures(settings, date=earlier, metric="auc", days=1, slice="all")
    was = {each["date"]: each for each in monitored}[str(earlier)]["figures"]
    assert auc["value"] in [each["value"] for each in was if each["metric"] == "auc"]


def test_a_day_that_is_not_published_is_told_and_others_go_on(
    monitored: list[dict[str, Any]], operator: As
) -> None:
    assert monitored
    before = FIRST - dt.timedelta(days=1)
    ran = operator(
        main, "monitor", "flight_delay", "--from", str(before), "--to", str(FIRST), "--no-alerts", "--json"
    )
    assert ran.code == 3
    assert f"No scored row of {before} is published, so there is nothing to monitor" in ran.err
    missing, first = json.loads(ran.out)
    assert missing["error"]
    assert first["date"] == str(FIRST)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("flight_delay", "--from", "2013-12-02", "--to", "2013-12-01"), "The span ends 2013-12-01, before"),
        (("flight_delay", "--date", "2013-12-02", "--to", "2013-12-03"), "--to goes with --from"),
        (("diamond_price", "--date", "2013-12-02"), "batch_jobs/diamond_price.yaml declares no monitor"),
        (("flight_delay",), "one of the arguments --date --from is required"),
    ],
)
def test_what_cannot_be_monitored_is_said(operator: As, arguments: tuple[str, ...], says: str) -> None:
    ran = operator(main, "monitor", *arguments)
    assert ran.code == 2
    assert says in ran.err


def test_rows_are_held_against_those_that_the_version_was_trained_on(
    monitored: list[dict[str, Any]], settings: S3Settings, store: Store
) -> None:
    assert monitored
    window = {
        (row["metric"], row["feature"]): row["value"]
        for row in figures(settings, date=LAST, days=28, slice="all")
    }
    # December is colder than the half year of the training, and has the same routes.
    assert window["psi", "temp"] > 0.25 > window["psi", "origin"]
    assert window["psi", "temp"] > window["psi_by_chance", "temp"]
    assert window["drifted_features", ""] >= 1
    assert 0 <= window["jensen_shannon", "prediction"] < 0.2
    digest = figures(settings, date=LAST, metric="auc")[0]["artifact_digest"]
    kept = Notes(store, f"{TABLE}/_references").get(digest)
    assert kept is not None
    assert kept["columns"]["carrier"]["kind"] == "category"
    assert kept["columns"]["temp"]["rows"] == kept["prediction"]["rows"] > 150_000


def test_the_command_leaves_a_report_and_metrics(
    monitored: list[dict[str, Any]], operator: As, store: Store, tmp_path: Path
) -> None:
    assert monitored
    page, metrics = tmp_path / "report.html", tmp_path / "flights.prom"
    arguments = ("--date", str(LAST), "--no-alerts", "--out", str(page), "--prometheus", str(metrics))
    ran = operator(main, "monitor", "flight_delay", *arguments)
    assert ran.code == 0, ran.err
    on_s3 = "s3://greenroom/flight_delay/reports/2013-12-01_2013-12-10.html"
    assert ran.err.splitlines() == [f"report: {page}", f"report: {on_s3}"]
    assert store.open(store.pin(on_s3)).read() == page.read_bytes()
    assert "Quality over time" in page.read_text()
    assert 'greenroom_monitoring_quality{batch_job="flight_delay"' in metrics.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["flights.prom", "report.html"]


def test_the_command_of_the_readme(roles: dict[str, dict[str, str]], in_production: int) -> None:
    assert in_production
    score = "python -m batch_jobs run flight_delay --date 2013-07-01"
    assert run_in_process(score, roles["operator"]).code == 0
    command = "python -m batch_jobs monitor flight_delay --date 2013-07-01"
    ran = run_in_process(command, roles["operator"])
    assert ran.code == 0, ran.err
    assert "flight_delay 2013-07-01: version 1 labelled_share" in ran.out
    assert "report: s3://greenroom/flight_delay/reports/2013-07-01_2013-07-01.html" in ran.err
