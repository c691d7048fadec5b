"""The MLflow run of a monitored day: what was measured, from what, in which table it lies."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mlflow.entities import Metric, Param, RunTag

from batch_jobs.monitoring.names import ALL
from registry import experiment_id, translated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from batch_jobs.job import BatchJob
    from batch_jobs.monitoring.figures import DayFigures, Figure
    from registry import Registry

# What MLflow takes in one call.
_MOST_METRICS = 1000


class Recorder:
    """Writes runs to the experiment `JOB monitoring`."""

    def __init__(self, registry: Registry, job: BatchJob) -> None:
        self._registry, self._job = registry, job
        self._experiment = ""

    def begin(self, day: str) -> str:
        """Start a run for a day; return its id."""
        tags = {"mlflow.runName": f"{self._job.name} {day}", "mlflow.user": self._registry.user}
        with translated(f"start a run for the monitoring of {self._job.name}"):
            name = f"{self._job.name} monitoring"
            self._experiment = self._experiment or experiment_id(self._registry, name)
            return str(self._registry.client.create_run(self._experiment, tags=tags).info.run_id)

    def finish(
        self, run_id: str, day: DayFigures, table: str, table_version: int, warnings: Sequence[str]
    ) -> None:
        """Write what was measured, and end the run."""
        now_ms = int(time.time() * 1000)
        metrics = [Metric(name, each.value, now_ms, 0) for name, each in _named(day)]
        tags = {
            "greenroom.table": table,
            "greenroom.table_version": str(table_version),
            "greenroom.inputs": day.inputs_digest,
            **({"greenroom.warning": "\n".join(warnings)[:4000]} if warnings else {}),
        }
        with translated(f"write to the run {run_id}"):
            self._registry.client.log_batch(
                run_id,
                metrics=metrics[:_MOST_METRICS],
                params=[Param("job", self._job.name), Param("date", str(day.date))],
                tags=[RunTag(name, value) for name, value in tags.items()],
            )
            self._registry.client.set_terminated(run_id, "FINISHED")

    def fail(self, run_id: str, error: BaseException) -> None:
        """Say on the run why there are no figures."""
        with translated(f"write to the run {run_id}"):
            self._registry.client.set_tag(run_id, "greenroom.error", str(error)[:4000])
            self._registry.client.set_terminated(run_id, "FAILED")


def _named(day: DayFigures) -> Iterator[tuple[str, Figure]]:
    """Name what is of whole rows or of a feature; slices are in the table. `batch/1/14d/auc`, say."""
    for each in day.figures:
        if each.slice == ALL:
            feature = f"/{each.feature}" if each.feature else ""
            yield f"{each.source}/{each.model_version}/{each.days}d/{each.metric}{feature}", each
