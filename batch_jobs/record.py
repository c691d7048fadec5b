"""The MLflow run of a scored partition: from which input, with which version, how many rows."""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelInput,
    Metric,
    Param,
    RunTag,
)
from mlflow.exceptions import MlflowException

from registry import RegistryError, RegistryUnavailableError, experiment_id, translated

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType

    from mlflow import MlflowClient

    from batch_jobs.job import BatchJob
    from registry import ModelVersion, Registry
    from storage import Snapshot

_ERROR_CHARACTERS = 4000  # of the 8000 that MLflow allows for a tag
_COLLISIONS = 5  # lost races before a write is given up
_DIGEST_CHARACTERS = 36  # what MLflow allows for a dataset; the whole digest is a tag


def create_run(registry: Registry, job: BatchJob) -> str:
    """Start a run for a partition of a job; return its id."""
    with translated(f"start a run for the job {job.name}"):
        return str(registry.client.create_run(experiment_id(registry, f"{job.name} batch")).info.run_id)


def discard_run(registry: Registry, run_id: str, other: str) -> None:
    """End a run that turned out to be one too many: another process records the same in `other`."""
    with translated(f"end the run {run_id}"):
        registry.client.set_tag(run_id, "greenroom.continued_by", other)
        registry.client.update_run(run_id, status="KILLED")


@contextmanager
def recorded_runs(
    registry: Registry,
    job: BatchJob,
    date: dt.date,
    version: ModelVersion,
    snapshot: Snapshot,
    run_ids: Sequence[str],
) -> Iterator[list[str]]:
    """Write the lineage of a partition to its run; end it FINISHED, or FAILED with what was raised.

    More than one run are given where `mlflow run` started one to go on with what another began. Yields
    those that are there: one that was deleted since is no reason not to publish.
    """
    client = registry.client
    there = [run_id for run_id in run_ids if _status(registry, run_id) is not None]
    with ExitStack() as stack:
        for run_id in there:
            with translated(f"write to the run {run_id}"):
                stack.push(partial(_finish, client, run_id))
                client.update_run(run_id, status="RUNNING")
                _write_lineage(client, run_id, job, date, version, snapshot, registry.user)
        yield there


def _write_lineage(
    client: MlflowClient,
    run_id: str,
    job: BatchJob,
    date: dt.date,
    version: ModelVersion,
    snapshot: Snapshot,
    user: str,
) -> None:
    parameters = {"job": job.name, "date": date, "model": version.name, "model_version": version.version}
    tags = {
        "mlflow.runName": f"{job.name} {date}",
        "mlflow.user": user,
        "greenroom.snapshot": snapshot.digest,
        "greenroom.digest": version.digest or "",
    }
    params = [Param(name, str(value)) for name, value in parameters.items()]
    tagged = [RunTag(name, value) for name, value in tags.items()]
    _past_collisions(lambda: client.log_batch(run_id, params=params, tags=tagged))
    source = json.dumps({"uri": snapshot.prefix})
    digest = snapshot.digest[:_DIGEST_CHARACTERS]
    dataset = Dataset(f"{job.name} input {date}", digest, "s3", source)
    inputs = [DatasetInput(dataset, [InputTag("mlflow.data.context", "scoring")])]
    models = [LoggedModelInput(version.source.removeprefix("models:/"))]
    _past_collisions(lambda: client.log_inputs(run_id, inputs, models))
    client.log_text(run_id, snapshot.to_tsv(), "snapshots/input.tsv")


def _past_collisions(write: Callable[[], None]) -> None:
    """Write what others may write to the same run at the same moment, and does no harm when written again.

    MLflow looks what is there and inserts the rest; of two that look before either inserts, the database
    refuses one. Written again, it finds the row of the other. Each refusal is another row's.
    """
    for _ in range(_COLLISIONS):
        try:
            write()
        except MlflowException as error:
            # SQLite's words and PostgreSQL's: "UNIQUE constraint failed", "violates unique constraint".
            if "unique constraint" not in str(error).lower():
                raise
        else:
            return
    write()


def record_counts(
    registry: Registry, run_id: str, metrics: Mapping[str, float], tags: Mapping[str, str], now_ms: int
) -> None:
    """Write counts and tags on a run."""
    with translated(f"write the counts on run {run_id}"):
        registry.client.log_batch(
            run_id,
            metrics=[Metric(name, value, now_ms, 0) for name, value in metrics.items()],
            tags=[RunTag(name, value) for name, value in tags.items()],
        )


def repair(registry: Registry, run_id: str, metrics: Mapping[str, float], now_ms: int) -> None:
    """Complete the record of a partition that was committed when MLflow could not be told.

    A run that was deleted cannot be completed, and the table does not depend on it.
    """
    if _status(registry, run_id) not in (None, "FINISHED"):
        record_counts(registry, run_id, metrics, {}, now_ms)
        _finish(registry.client, run_id, None, None, None)


def _status(registry: Registry, run_id: str) -> str | None:
    """Return how a run ended, or that it did not; None where it is deleted, or nobody's we know.

    To a login that is no admin, MLflow answers for a purged run as for one of somebody else.
    """
    try:
        with translated(f"look at the run {run_id}"):
            info = registry.client.get_run(run_id).info
    except RegistryUnavailableError:
        raise
    except RegistryError:
        return None
    return str(info.status) if info.lifecycle_stage == "active" else None


def _finish(
    client: MlflowClient,
    run_id: str,
    _: type[BaseException] | None,
    error: BaseException | None,
    __: TracebackType | None,
) -> None:
    if error is None:
        with translated(f"finish the run {run_id}"):
            client.set_terminated(run_id, "FINISHED")
        return
    # What was raised matters more than whether MLflow could still be told.
    with suppress(MlflowException):
        interrupted = isinstance(error, KeyboardInterrupt)
        said = "interrupted" if interrupted else str(error)[:_ERROR_CHARACTERS]
        client.set_tag(run_id, "greenroom.error", said)
        client.set_terminated(run_id, "KILLED" if interrupted else "FAILED")
