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

from registry import translated

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from mlflow import MlflowClient

    from batch_jobs.job import BatchJob
    from registry import ModelVersion, Registry
    from storage import Snapshot

_ERROR_CHARACTERS = 4000  # of the 8000 that MLflow allows for a tag
_DIGEST_CHARACTERS = 36  # what MLflow allows for a dataset; the whole digest is a tag


@contextmanager
def recorded_run(
    registry: Registry, job: BatchJob, date: dt.date, version: ModelVersion, snapshot: Snapshot
) -> Iterator[str]:
    """Start a run with its lineage; yield its id; end it FINISHED, or FAILED with what was raised."""
    client = registry.client
    with translated(f"start a run for the job {job.name}"):
        run_id = client.create_run(
            _experiment(registry, job), run_name=f"{job.name} {date}", tags={"mlflow.user": registry.user}
        ).info.run_id
        client.log_batch(
            run_id,
            params=[
                Param("job", job.name),
                Param("date", str(date)),
                Param("model", version.name),
                Param("model_version", str(version.version)),
            ],
            tags=[
                RunTag("greenroom.snapshot", snapshot.digest),
                RunTag("greenroom.digest", version.digest or ""),
            ],
        )
        pinned = json.dumps(
            {"uri": snapshot.prefix, "objects": [[o.uri, o.version_id] for o in snapshot.objects]}
        )
        dataset = Dataset(
            f"{job.name} input {date}", snapshot.digest[:_DIGEST_CHARACTERS], "s3_snapshot", pinned
        )
        client.log_inputs(
            run_id,
            [DatasetInput(dataset, [InputTag("mlflow.data.context", "scoring")])],
            [LoggedModelInput(version.source.removeprefix("models:/"))],
        )
    with ExitStack() as stack:
        stack.push(partial(_finish, client, run_id))
        yield run_id


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
        client.set_tag(run_id, "greenroom.error", str(error)[:_ERROR_CHARACTERS])
        client.set_terminated(run_id, "FAILED")


def _experiment(registry: Registry, job: BatchJob) -> str:
    name = f"{job.name} batch"
    found = registry.client.get_experiment_by_name(name)
    return str(found.experiment_id) if found else str(registry.client.create_experiment(name))
