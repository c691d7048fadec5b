"""Reproduction: train again from what a run recorded, and compare the artifacts file by file."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import yaml
from mlflow.models import Model

import registry
from projects.artifact import save_model
from projects.declared import DECLARATION, declared_by
from projects.errors import ProjectError
from projects.rows.labelled import open_set
from projects.runs import describe_surroundings, example_of, rows_of, run
from projects.training import sampled, train
from registry import Manifest

if TYPE_CHECKING:
    from mlflow.entities import Run

    from projects.declaration import Project
    from projects.rows.labelled import LabelledSet
    from projects.runs import Workplace
    from registry import ModelVersion

# What names a run, a model or a moment, and is another one each time.
_OF_THE_RUN = {"run_id", "model_id", "model_uuid", "utc_time_created", "artifact_path", "model_size_bytes"}


@dataclass(frozen=True)
class Reproduction:
    """What training again gave: the files whose bytes are others, and what has changed around it."""

    version: ModelVersion
    differing: tuple[str, ...]
    around: tuple[str, ...]


def reproduce(run_id: str, at: Workplace) -> Reproduction:
    """Train again what a training run trained, and say which files of the artifact differ.

    In `MLmodel`, run, model ids and times are passed over. Raises `ProjectError` where the run did not
    record what it takes, or its rows are gone.
    """
    trained = _find(run_id, at)
    project = declared_by(run_id, DECLARATION, at)
    version = _version_of(trained, project, at)
    rows = _rows_then(trained, at)
    with run(project, f"reproduce {run_id}", at):
        share = float(trained.data.params["sampled"])
        kept = sampled(rows_of(project, rows), share, project.seed)
        booster = train(project, kept, lambda done: at.progress("Training", done, project.rounds))
        at.progress("Comparing", 0, 1)
        original = registry.fetch(at.registry, version)
        with tempfile.TemporaryDirectory(prefix="greenroom-") as scratch:
            again = Path(scratch) / "model"
            save_model(str(again), Model(), booster, project.features, example_of(project, kept))
            differing = _compare(original, again)
        around = tuple(_changed_around(trained))
        mlflow.set_tags(
            {
                "greenroom.reproduces": run_id,
                "greenroom.reproduced": ", ".join(differing) if differing else "to the byte",
            }
        )
        return Reproduction(version, differing, around)


def _find(run_id: str, at: Workplace) -> Run:
    with registry.translated(f"find the run {run_id[:64]}"):
        found = at.registry.client.get_run(run_id)
    if "greenroom.labelled.training" not in found.data.tags:
        raise ProjectError(
            f"The run {run_id} is no training that recorded its rows; expected one of: mlflow run . -e main"
        )
    return found


def _version_of(trained: Run, project: Project, at: Workplace) -> ModelVersion:
    number = trained.data.tags.get("greenroom.version")
    if number is None:
        raise ProjectError(f"The run {trained.info.run_id} registered no version to compare with")
    return registry.find_version(at.registry, project.model, int(number))


def _rows_then(trained: Run, at: Workplace) -> LabelledSet:
    uri = trained.data.tags["greenroom.labelled.training"]
    digest = trained.data.tags["greenroom.labelled.training.digest"]
    return open_set(uri, digest, trained.data.params["window"], at.environment)


def _changed_around(trained: Run) -> list[str]:
    now = describe_surroundings()
    return [
        f"{key.removeprefix('greenroom.')} was {trained.data.tags.get(key, 'not recorded')}, is {value}"
        for key, value in now.items()
        if trained.data.tags.get(key) != value
    ]


def _compare(original: Path, again: Path) -> tuple[str, ...]:
    before, after = Manifest.of(original), Manifest.of(again)
    paths = sorted({f.path for f in (*before.files, *after.files)})
    return tuple(p for p in paths if not _same(p, before, after, original, again))


def _same(path: str, before: Manifest, after: Manifest, original: Path, again: Path) -> bool:
    if before.sha256_of(path) == after.sha256_of(path):
        return True
    both = before.sha256_of(path) and after.sha256_of(path)
    return bool(both and path == "MLmodel" and _lasting(original / path) == _lasting(again / path))


def _lasting(path: Path) -> dict[str, Any]:
    content = yaml.safe_load(path.read_text())
    return {key: value for key, value in content.items() if key not in _OF_THE_RUN}
