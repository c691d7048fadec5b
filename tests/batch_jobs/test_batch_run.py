"""Batch runs on the stack, with real flights, as an operator types them."""

from __future__ import annotations

import datetime as dt
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from commands import REPOSITORY, As, run_command
from deltalake import DeltaTable
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

import deploy
import registry
from batch_jobs import job as job_module
from batch_jobs.__main__ import main
from batch_jobs.record import create_run, recorded_runs, repair
from storage import CommitConflictError, S3Settings, Store

if TYPE_CHECKING:
    from collections.abc import Callable

EXHAUSTIVE = bool(os.environ.get("GREENROOM_EXHAUSTIVE"))
TABLE = "s3://greenroom/flight_delay/predictions"
FEATURES = "s3://greenroom/flight_delay/features"


@pytest.fixture(scope="module")
def settings(stack: deploy.Stack) -> S3Settings:
    return S3Settings.from_environment(stack.environment("operator"))


@pytest.fixture(scope="module")
def store(settings: S3Settings) -> Store:
    return Store.connect(settings)


@pytest.fixture(scope="module")
def one_day(in_production: int, store: Store) -> pa.Table:
    assert in_production == 1
    (pinned,) = store.snapshot(f"{FEATURES}/date=2013-07-01").objects
    return pq.read_table(store.open(pinned))


def live(settings: S3Settings, date: str) -> pa.Table:
    table = DeltaTable(TABLE, storage_options=settings.delta_options())
    return table.to_pyarrow_dataset(file_pruning_predicate=[("date", "=", date)]).to_table()


def version(settings: S3Settings) -> int:
    if not DeltaTable.is_deltatable(TABLE, settings.delta_options()):
        return -1
    return int(DeltaTable(TABLE, storage_options=settings.delta_options()).version())


def parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def csv(table: pa.Table) -> bytes:
    return bytes(table.to_pandas().to_csv(index=False).encode())


def test_a_day_is_scored_quarantined_and_recorded(
    operator: As, in_production: int, settings: S3Settings, stack: deploy.Stack
) -> None:
    ran = operator(main, "run", "flight_delay", "--date", "2013-07-02", "--json")
    assert ran.code == 0, ran.err
    (report,) = json.loads(ran.out)
    assert report["published"] is True
    assert (report["rows"], report["scored"], report["quarantined"]) == (945, 903, 42)
    assert report["model_version"] == in_production
    assert report["reasons"] == {"temp is null": 42}

    rows = live(settings, "2013-07-02")
    assert len(rows) == 945
    assert pc.count_distinct(rows["flight_id"]).as_py() == 945
    assert rows["model_version"].unique().to_pylist() == [1]
    assert rows["run_id"].unique().to_pylist() == [report["run_id"]]
    scored = rows.filter(pc.equal(rows["outcome"], "scored"))
    bad = rows.filter(pc.equal(rows["outcome"], "quarantined"))
    assert scored["prediction"].null_count == 0
    assert bad["prediction"].null_count == 42
    assert bad["reasons"].to_pylist() == [["temp is null"]] * 42
    first = json.loads(bad["row"][0].as_py())
    assert first["flight_id"] == bad["flight_id"][0].as_py()
    assert sorted(rows["input_position"].to_pylist()) == list(range(945))
    assert set(rows["input_file"].to_pylist()) == {f"{FEATURES}/date=2013-07-02/part-0.parquet"}

    environment = operator.environment
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        client = MlflowClient(stack.mlflow_uri)
        run = client.get_run(report["run_id"])
        snapshot = mlflow.artifacts.load_text(f"{run.info.artifact_uri}/snapshots/input.tsv")
    assert run.info.status == "FINISHED"
    assert run.data.metrics["scored"] == 903
    assert run.data.metrics["quarantined"] == 42
    assert run.data.params["model_version"] == "1"
    assert run.data.tags["greenroom.snapshot"] == rows["snapshot_digest"][0].as_py()
    (dataset,) = run.inputs.dataset_inputs
    assert json.loads(dataset.dataset.source) == {"uri": f"{FEATURES}/date=2013-07-02/"}
    assert dataset.dataset.digest == rows["snapshot_digest"][0].as_py()[:36]
    (line,) = snapshot.splitlines()[1:]
    uri, version_id, *_ = line.split("\t")
    assert uri == f"{FEATURES}/date=2013-07-02/part-0.parquet"
    assert version_id, "the object's version id is part of the lineage"


def test_the_same_again_is_nothing_to_do(operator: As, in_production: int, settings: S3Settings) -> None:
    assert in_production
    operator(main, "run", "flight_delay", "--date", "2013-07-03")
    before = version(settings)
    ran = operator(main, "run", "flight_delay", "--date", "2013-07-03")
    assert ran.code == 0
    assert "flight_delay 2013-07-03: 983 rows = 983 scored + 0 quarantined" in ran.out
    assert "nothing to do" in ran.out
    assert version(settings) == before


def test_a_record_that_mlflow_missed_is_repaired(
    operator: As, in_production: int, stack: deploy.Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert in_production
    (report,) = json.loads(operator(main, "run", "flight_delay", "--date", "2013-07-04", "--json").out)
    for name, value in operator.environment.items():
        monkeypatch.setenv(name, value)
    client = MlflowClient(stack.mlflow_uri)
    client.set_terminated(report["run_id"], "FAILED")
    assert "nothing to do" in operator(main, "run", "flight_delay", "--date", "2013-07-04").out
    run = client.get_run(report["run_id"])
    assert run.info.status == "FINISHED"
    assert run.data.metrics["rows"] == report["rows"]
    client.set_terminated(report["run_id"], "FAILED")
    client.delete_run(report["run_id"])
    assert "nothing to do" in operator(main, "run", "flight_delay", "--date", "2013-07-04").out


def test_a_purged_run_is_nothing_to_repair(
    operator: As, in_production: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert in_production
    for name, value in operator.environment.items():
        monkeypatch.setenv(name, value)
    at = registry.connect(operator.environment)
    gone = "0" * 32
    repair(at, gone, {"rows": 1.0}, 0)
    with pytest.raises(MlflowException, match="Permission denied"):
        at.client.get_run(gone)


def test_a_new_delivery_replaces_the_day_and_never_doubles_it(
    operator: As, one_day: pa.Table, store: Store, settings: S3Settings
) -> None:
    where = f"{FEATURES}/date=2014-02-01/part-0.parquet"
    store.write(where, parquet(one_day))
    assert operator(main, "run", "flight_delay", "--date", "2014-02-01").code == 0
    store.write(where, parquet(one_day.slice(0, 900)))
    ran = operator(main, "run", "flight_delay", "--date", "2014-02-01")
    assert "900 rows = 900 scored" in ran.out
    assert "published" in ran.out
    assert len(live(settings, "2014-02-01")) == 900


def test_backfill_scores_each_day_and_goes_on_past_an_unfit_one(
    operator: As, in_production: int, settings: S3Settings
) -> None:
    assert in_production
    ran = operator(main, "backfill", "flight_delay", "--from", "2013-12-30", "--to", "2014-01-01")
    assert ran.code == 3
    assert "flight_delay 2013-12-30: 968 rows = 812 scored + 156 quarantined" in ran.out
    assert "flight_delay 2013-12-31: The batch is unfit, and nothing is published" in ran.err
    assert "flight_delay 2014-01-01: There is no input for 2014-01-01: no file under" in ran.err
    assert len(live(settings, "2013-12-31")) == 0


def test_days_side_by_side_are_each_published_once_and_told_in_order(
    operator: As, in_production: int, settings: S3Settings
) -> None:
    assert in_production
    before = version(settings)
    span = ("--from", "2013-09-01", "--to", "2013-09-06")
    ran = operator(main, "backfill", "flight_delay", *span, "--days-at-once", "6", "--json")
    assert ran.code == 0, ran.err
    reports = json.loads(ran.out)
    assert [report["date"] for report in reports] == [f"2013-09-0{day}" for day in range(1, 7)]
    assert all(report["published"] for report in reports)
    assert len({report["run_id"] for report in reports}) == 6
    for report in reports:
        rows = live(settings, report["date"])
        assert len(rows) == report["rows"] == pc.count_distinct(rows["flight_id"]).as_py()
        assert rows["run_id"].unique().to_pylist() == [report["run_id"]]
    assert version(settings) - max(before, 0) == 6


def test_a_backfill_that_is_interrupted_says_so_and_is_finished_by_the_next(
    roles: dict[str, dict[str, str]], operator: As, in_production: int
) -> None:
    assert in_production
    days = 20 if EXHAUSTIVE else 8
    span = ("backfill", "flight_delay", "--from", "2013-09-11", "--to", f"2013-09-{10 + days}")
    with subprocess.Popen(
        [sys.executable, "-m", "batch_jobs", *span, "--days-at-once", "2"],
        cwd=REPOSITORY,
        env=roles["operator"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert "published" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        told, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert said == "batch_jobs: interrupted; days that were told are published; run it again\n"
    assert len(told.splitlines()) < days - 1
    ran = operator(main, *span, "--json")
    assert ran.code == 0, ran.err
    reports = json.loads(ran.out)
    assert len(reports) == days
    assert {report["published"] for report in reports} == {True, False}


def test_csv_with_bad_cells_scores_the_rest(
    operator: As, one_day: pa.Table, store: Store, settings: S3Settings
) -> None:
    lines = csv(one_day).split(b"\n")
    lines[2] = lines[2].replace(
        b",1400.0," if b",1400.0," in lines[2] else lines[2].split(b",")[6], b"far", 1
    )
    lines[5] = b"2014-01-05-broken,AA"
    store.write(f"{FEATURES}/date=2014-01-05/part-0.csv", b"\n".join(lines))
    ran = operator(main, "run", "flight_delay", "--date", "2014-01-05")
    assert ran.code == 0, ran.err
    assert "966 rows = 964 scored + 2 quarantined" in ran.out
    rows = live(settings, "2014-01-05")
    bad = rows.filter(pc.equal(rows["outcome"], "quarantined")).sort_by("input_position")
    assert bad["input_position"].to_pylist() == [1, 4]
    assert "expected a number" in bad["reasons"][0].as_py()[0]
    assert bad["reasons"][1].as_py() == ["has 2 columns, expected 17"]


@pytest.mark.parametrize(
    ("file", "spoil", "says"),
    [
        (
            "2014-03-01/part-0.parquet",
            lambda t: parquet(t)[:-200],
            "part-0.parquet is not a whole PARQUET file: ",
        ),
        ("2014-03-02/part-0.parquet", lambda _: b"", "part-0.parquet is not a whole PARQUET file: "),
        (
            "2014-03-03/part-0.csv",
            lambda _: b"",
            "part-0.csv is not a whole CSV file: no header line found",
        ),
        (
            "2014-03-04/part-0.csv",
            lambda t: csv(t.drop(["dest"])),
            "part-0.csv has no column 'dest'; expected flight_id, carrier,",
        ),
        (
            "2014-03-05/part-0.parquet",
            lambda t: parquet(t.drop(["flight_id"])),
            "part-0.parquet has no column 'flight_id'",
        ),
        (
            "2014-03-06/part-0.parquet",
            lambda t: parquet(
                t.set_column(t.column_names.index("temp"), "temp", pa.array(["warm"] * len(t)))
            ),
            "966 of 966 rows are unfit",
        ),
        ("2014-03-07/part-0.csv", lambda t: csv(t.slice(0, 0)), "The input holds 0 rows"),
        ("2014-03-08/part-0.json", lambda _: b"{}", "its name ends in 'json'; expected .parquet or .csv"),
        ("2014-03-09/part-0.parquet", lambda t: parquet(t.slice(0, 9)), "The batch is unfit"),
    ],
)
def test_unfit_input_publishes_nothing(
    operator: As,
    one_day: pa.Table,
    store: Store,
    settings: S3Settings,
    file: str,
    spoil: Callable[[pa.Table], bytes],
    says: str,
) -> None:
    day = file.partition("/")[0]
    store.write(f"{FEATURES}/date={file}", spoil(one_day))
    before = version(settings)
    ran = operator(main, "run", "flight_delay", "--date", day)
    assert ran.code == 3
    assert f"flight_delay {day}: " in ran.err
    assert says in ran.err
    assert "Traceback" not in ran.err
    assert version(settings) == before


def test_an_unfit_day_is_a_failed_run_that_says_why(
    operator: As, in_production: int, stack: deploy.Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert in_production
    operator(main, "run", "flight_delay", "--date", "2013-12-31")
    for name, value in operator.environment.items():
        monkeypatch.setenv(name, value)
    client = MlflowClient(stack.mlflow_uri)
    experiment = client.get_experiment_by_name("flight_delay batch")
    (run, *_) = client.search_runs([experiment.experiment_id], "params.date = '2013-12-31'")
    assert run.info.status == "FAILED"
    assert run.data.tags["greenroom.error"].startswith("The batch is unfit, and nothing is published")
    # What was begun in it is gone on with, and what is said of the day is the same.
    client.delete_run(run.info.run_id)
    again = operator(main, "run", "flight_delay", "--date", "2013-12-31")
    assert (again.code, "2013-12-31: The batch is unfit" in again.err) == (3, True), again.err


def test_a_run_that_another_was_faster_than_has_failed(
    operator: As, in_production: int, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another with another plan, that is: whoever does the very same finishes the same run."""
    assert in_production
    for name, value in operator.environment.items():
        monkeypatch.setenv(name, value)
    at, job = registry.connect(operator.environment), job_module.read_job("flight_delay")
    version, date = registry.resolve(at, job.model), dt.date(2013, 7, 1)
    run_id = create_run(at, job)
    snapshot = store.snapshot(f"{FEATURES}/date={date}")
    with (
        pytest.raises(CommitConflictError),
        recorded_runs(at, job, date, version, snapshot, [run_id]),
    ):
        raise CommitConflictError("another writer committed first")
    run = at.client.get_run(run_id)
    assert (run.info.status, run.data.tags["greenroom.error"]) == ("FAILED", "another writer committed first")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (
            ["run", "flight", "--date", "2013-07-01"],
            2,
            "There is no job 'flight'; there is: diamond_price, flight_delay",
        ),
        (
            ["run", "flight_delay", "--date", "2013-02-30"],
            2,
            "'2013-02-30' is not a date; expected YYYY-MM-DD",
        ),
        (["run", "flight_delay", "--date", "tomorrow"], 2, "'tomorrow' is not a date; expected YYYY-MM-DD"),
        (["run", "flight_delay"], 2, "the following arguments are required: --date"),
        (["run", "flight_delay", "--date", "2031-01-01"], 3, "There is no input for 2031-01-01"),
        (
            ["rescore", "flight_delay", "--version", "1", "--days-at-once", "0"],
            2,
            "'0' is no count; expected a whole number, at least 1",
        ),
        (
            ["backfill", "flight_delay", "--from", "2013-07-02", "--to", "2013-07-01"],
            2,
            "The span ends 2013-07-01, before it begins; check --from and --to",
        ),
    ],
)
def test_bad_arguments(operator: As, in_production: int, arguments: list[str], code: int, says: str) -> None:
    assert in_production
    ran = operator(main, *arguments)
    assert (ran.code, says in ran.err) == (code, True), ran.err


def test_a_missing_bucket_is_named(operator: As, in_production: int, stack: deploy.Stack) -> None:
    assert in_production
    admin = stack.environment("admin")
    keys = {name: admin[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    ran = operator(
        main, "run", "flight_delay", "--date", "2013-07-01", GREENROOM_DATA="s3://no-such-bucket", **keys
    )
    assert ran.code == 1
    assert "there is no bucket 'no-such-bucket'. Create it, or correct GREENROOM_DATA" in ran.err


def test_a_bucket_of_others_is_not_said_to_be_missing(operator: As, in_production: int) -> None:
    assert in_production
    ran = operator(main, "run", "flight_delay", "--date", "2013-07-01", GREENROOM_DATA="s3://mlflow")
    assert ran.code == 1
    assert (
        "S3 refused (AccessDenied). Check the bucket's name, AWS_ACCESS_KEY_ID and what it may do" in ran.err
    )


def test_data_without_a_root_is_explained(operator: As, in_production: int) -> None:
    assert in_production
    ran = operator(main, "run", "flight_delay", "--date", "2013-07-01", GREENROOM_DATA="")
    assert ran.code == 1
    assert "GREENROOM_DATA, the S3 URI it is relative to, is not set" in ran.err


def test_s3_down_asks_to_try_again(operator: As, in_production: int) -> None:
    assert in_production
    started = time.monotonic()
    ran = operator(
        main, "run", "flight_delay", "--date", "2013-07-01", AWS_ENDPOINT_URL_S3="http://127.0.0.1:1"
    )
    assert ran.code == 75
    assert "S3 does not answer" in ran.err
    assert time.monotonic() - started < 60


def test_mlflow_down_asks_to_try_again(operator: As, in_production: int) -> None:
    assert in_production
    ran = operator(
        main, "run", "flight_delay", "--date", "2013-07-01", MLFLOW_TRACKING_URI="http://127.0.0.1:1"
    )
    assert ran.code == 75
    assert "the MLflow server does not answer" in ran.err


@pytest.fixture
def other_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(job_module.ROOT / "flight_delay.yaml", tmp_path)
    monkeypatch.setattr(job_module, "ROOT", tmp_path)
    return tmp_path


def test_nothing_on_stage_has_its_own_exit_code(operator: As, in_production: int, other_jobs: Path) -> None:
    assert in_production
    text = (other_jobs / "flight_delay.yaml").read_text()
    (other_jobs / "early.yaml").write_text(text.replace("Production", "Archived"))
    ran = operator(main, "run", "early", "--date", "2013-07-01")
    assert ran.code == 4
    assert "No version of flight-delay is in Archived" in ran.err


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("models:/flight-delay/production", "neither a version number nor a stage"),
        ("models:/flight-delay/0", "versions are counted from 1"),
        ("models:/flight-delay/99999999999999999999", "flight-delay has no version 99999999999999999999"),
        ("models:/flight/Production", "There is no registered model 'flight'"),
        ("flight-delay", "does not name a model version; expected models:/NAME/STAGE"),
    ],
)
def test_a_wrong_model_in_a_job_file(
    operator: As, in_production: int, other_jobs: Path, model: str, says: str
) -> None:
    assert in_production
    text = (other_jobs / "flight_delay.yaml").read_text()
    (other_jobs / "wrong.yaml").write_text(text.replace("models:/flight-delay/Production", model))
    ran = operator(main, "run", "wrong", "--date", "2013-07-01")
    assert (ran.code, says in ran.err) == (2, True), ran.err


def test_runs_of_one_day_at_once_leave_it_once(
    roles: dict[str, dict[str, str]], in_production: int, settings: S3Settings
) -> None:
    assert in_production
    many = 10 if EXHAUSTIVE else 3
    before = version(settings)
    command = ["python", "-m", "batch_jobs", "run", "flight_delay", "--date", "2013-08-05"]
    with ThreadPoolExecutor(many) as pool:
        ran = list(pool.map(lambda _: run_command(command, roles["operator"]), range(many)))
    said = [each.stdout + each.stderr for each in ran]
    assert [each.returncode for each in ran] == [0] * many, said
    assert sum("published as version" in each for each in said) == 1
    assert sum("nothing to do" in each for each in said) == many - 1
    # One more, where the table was made for it.
    assert version(settings) - max(before, 0) == 1
    rows = live(settings, "2013-08-05")
    assert len(rows) == pc.count_distinct(rows["flight_id"]).as_py() == 1000
    assert len(rows["run_id"].unique()) == 1


def test_status_says_what_is_to_be_done(
    operator: As, one_day: pa.Table, store: Store, settings: S3Settings
) -> None:
    def status() -> dict[str, Any]:
        ran = operator(main, "status", "flight_delay", "--from", "2015-01-01", "--to", "2015-12-31", "--json")
        assert ran.code == 0, ran.err
        return {day["date"]: day for day in json.loads(ran.out)}

    where = f"{FEATURES}/date=2015-02-0"
    store.write(f"{where}1/part-0.parquet", parquet(one_day))
    store.write(f"{where}2/part-0.parquet", parquet(one_day))
    assert {date: day["state"] for date, day in status().items()} == {
        "2015-02-01": "missing",
        "2015-02-02": "missing",
    }
    assert operator(main, "backfill", "flight_delay", "--from", "2015-02-01", "--to", "2015-02-02").code == 0
    store.write(f"{where}2/part-0.parquet", parquet(one_day.slice(0, 900)))
    found = status()
    assert (found["2015-02-01"]["state"], found["2015-02-01"]["rows"]) == ("current", 966)
    assert (found["2015-02-02"]["state"], found["2015-02-02"]["changed"]) == ("stale", ["input"])
    assert found["2015-02-02"]["run_id"] == live(settings, "2015-02-02")["run_id"][0].as_py()
    store.client.delete_object(
        Bucket="greenroom", Key=f"{where}2/part-0.parquet".removeprefix("s3://greenroom/")
    )
    assert status()["2015-02-02"]["state"] == "no input"
    said = operator(main, "status", "flight_delay", "--from", "2015-02-01", "--to", "2015-02-02").out
    assert said.splitlines()[-1] == (
        "flight_delay: 1 current, 1 no input; flight-delay version 1 is to score"
    )


def test_what_a_version_scored_is_scored_again(operator: As, in_production: int) -> None:
    assert in_production == 1
    operator(main, "run", "flight_delay", "--date", "2013-07-03")
    none = operator(main, "rescore", "flight_delay", "--version", "7")
    assert (none.code, none.out) == (0, "")
    assert "No day of flight_delay is of version 7; nothing to do" in none.err
    # Version 1 is still in Production, so there is nothing to replace it by.
    again = operator(main, "rescore", "flight_delay", "--version", "1")
    [said] = [line for line in again.out.splitlines() if line.startswith("flight_delay 2013-07-03: ")]
    assert "983 rows" in said
    assert "nothing to do" in said


def test_vacuum_leaves_what_is_young(operator: As, in_production: int, store: Store) -> None:
    assert in_production
    operator(main, "run", "flight_delay", "--date", "2013-07-03")
    before = store.snapshot(TABLE).objects
    ran = operator(main, "vacuum", "flight_delay")
    assert (ran.code, ran.out[:14]) == (0, "0 files below ")
    assert store.snapshot(TABLE).objects == before


def test_help_is_quick_and_shows_examples(roles: dict[str, dict[str, str]]) -> None:
    seconds = []
    for _ in range(3):
        started = time.monotonic()
        ran = run_command(["python", "-m", "batch_jobs", "--help"], roles["operator"])
        seconds.append(time.monotonic() - started)
    assert "python -m batch_jobs run flight_delay --date 2013-07-01" in ran.stdout
    assert min(seconds) < 0.5
