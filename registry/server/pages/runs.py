"""What MLflow keeps of the run behind a version: read, never written. A run may be gone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlflow.exceptions import MlflowException
from mlflow.server import handlers

from registry.server import artifacts, identity

if TYPE_CHECKING:
    from collections.abc import Iterator

# Where a run's pictures, data snapshots and reports on the quality of its data lie.
_FOLDERS = ("plots", "snapshots", "quality")
_CARD = "model_card"
_PICTURES = (".png", ".jpg", ".jpeg", ".svg", ".webp")
_SNAPSHOT, _QUALITY = "greenroom.snapshot.", "greenroom.quality."
_CONTEXT = "mlflow.data.context"
_MOST_FILES = 200


@dataclass(frozen=True)
class DataSet:
    """Data that a run read. `digest` is the whole one where the run says it, MLflow's short one else."""

    context: str
    name: str
    digest: str


@dataclass(frozen=True)
class Run:
    """A run as it is now. `problem` says, in one sentence, why nothing or not all is known of it."""

    run_id: str
    experiment_id: str = ""
    name: str = ""
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    data: tuple[DataSet, ...] = ()
    files: tuple[str, ...] = ()
    problem: str = ""

    @property
    def plots(self) -> tuple[str, ...]:
        """Pictures, as paths below the run's artifacts."""
        return tuple(f for f in self.files if f.startswith("plots/") and f.lower().endswith(_PICTURES))

    @property
    def snapshots(self) -> tuple[str, ...]:
        """Lists of the objects that were read."""
        return tuple(f for f in self.files if f.startswith("snapshots/"))

    @property
    def reports(self) -> tuple[str, ...]:
        """Reports on the quality of the data, and the model's card."""
        return tuple(f for f in self.files if f.startswith(("quality/", _CARD)))

    @property
    def quality(self) -> dict[str, str]:
        """What the run says of the quality of its data, by context: `greenroom.quality.CONTEXT`."""
        return {k.removeprefix(_QUALITY): v for k, v in self.tags.items() if k.startswith(_QUALITY)}


def read_run(run_id: str | None, whose: str) -> Run | None:
    """Read a run and the names of its files; None where none is recorded."""
    if not run_id:
        return None
    try:
        found = handlers._get_tracking_store().get_run(run_id)  # noqa: SLF001  # MLflow's handlers call it
    except MlflowException:
        return Run(run_id, problem=f"The {whose} run {run_id} is not in MLflow any more.")
    if not identity.may_read_experiment(found.info.experiment_id):
        return Run(run_id, problem=f"This login may not see the {whose} run {run_id}.")
    gone = found.info.lifecycle_stage == "deleted"
    files, problem = ((), "") if gone else _files(found.info.artifact_uri, whose)
    return Run(
        run_id=run_id,
        experiment_id=found.info.experiment_id,
        name=found.info.run_name or run_id,
        params=dict(found.data.params),
        metrics=dict(found.data.metrics),
        tags=dict(found.data.tags),
        data=tuple(_data(found)),
        files=files,
        problem=f"The {whose} run {run_id} is deleted in MLflow; it can still be restored."
        if gone
        else problem,
    )


def _files(uri: str, whose: str) -> tuple[tuple[str, ...], str]:
    try:
        found = [name for name in artifacts.names_in(uri, "") if name.startswith(_CARD)]
        found += [name for folder in _FOLDERS for name in artifacts.names_in(uri, folder)]
    except (MlflowException, OSError) as error:
        return (), f"The files of the {whose} run cannot be listed now: {str(error)[:200]}"
    return tuple(found[:_MOST_FILES]), ""


def _data(run: Any) -> Iterator[DataSet]:
    whole = [value for key, value in run.data.tags.items() if key.startswith(_SNAPSHOT)]
    for given in run.inputs.dataset_inputs if run.inputs else ():
        context = next((tag.value for tag in given.tags if tag.key == _CONTEXT), "")
        short = given.dataset.digest
        digest = next((digest for digest in whole if digest.startswith(short)), short)
        yield DataSet(context, given.dataset.name, digest)
