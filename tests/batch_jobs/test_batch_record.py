"""Several processes that score one day write to one run of MLflow: none of them is refused."""

from __future__ import annotations

import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from mlflow import MlflowClient
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from batch_jobs.job import read_job
from batch_jobs.record import create_run, recorded_runs
from registry import ModelVersion, Registry, RegistryError, Stage
from storage import Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

MANY = 3
JOB, DATE = read_job("flight_delay"), dt.date(2013, 8, 5)
SNAPSHOT = Snapshot("s3://greenroom/flight_delay/features/date=2013-08-05/", ())
BORN = dt.datetime(2013, 7, 1, tzinfo=dt.UTC)
VERSION = ModelVersion("flight-delay", 1, Stage.PRODUCTION, "author", None, "models:/m-0123", BORN, None)


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """MLflow's own store, without a server: it takes threads as it takes requests."""
    folder = tmp_path_factory.mktemp("record")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    client = MlflowClient(uri, uri)
    client.create_experiment(f"{JOB.name} batch", (folder / "artifacts").as_uri())
    return Registry(client, uri, "operator", folder)


@contextmanager
def inserts_held(uri: str, table: str) -> Iterator[None]:
    """Hold MANY threads at their first insert into a table, until all have looked what is there."""
    together, mine = threading.Barrier(MANY), threading.local()

    def hold(_: object, __: object, statement: str, *___: object) -> None:
        if statement.startswith(f"INSERT INTO {table} ") and not hasattr(mine, "held"):
            mine.held = True
            together.wait(60)

    engine = SqlAlchemyStore(uri, uri).engine
    sa.event.listen(engine, "before_cursor_execute", hold)
    yield
    sa.event.remove(engine, "before_cursor_execute", hold)


def test_runs_that_record_the_same_at_once_all_find_it_there(at: Registry) -> None:
    """MLflow looks what a run has and inserts the rest, so that its database refuses all but one."""
    run_id = create_run(at, JOB)

    def record(_: int) -> None:
        with recorded_runs(at, JOB, DATE, VERSION, SNAPSHOT, [run_id]) as there:
            assert there == [run_id]

    with inserts_held(at.uri, "params"), ThreadPoolExecutor(MANY) as pool:
        list(pool.map(record, range(MANY)))
    run = at.client.get_run(run_id)
    assert (run.info.status, run.data.params["date"]) == ("FINISHED", "2013-08-05")
    assert run.data.tags["greenroom.snapshot"] == SNAPSHOT.digest
    assert len(run.inputs.dataset_inputs) == len(run.inputs.model_inputs) == 1


def test_what_is_really_refused_is_raised(at: Registry) -> None:
    run_id = create_run(at, JOB)
    at.client.log_param(run_id, "job", "another")
    with (
        pytest.raises(RegistryError, match="Changing param values is not allowed"),
        recorded_runs(at, JOB, DATE, VERSION, SNAPSHOT, [run_id]),
    ):
        pass
    assert at.client.get_run(run_id).info.status == "FAILED"
