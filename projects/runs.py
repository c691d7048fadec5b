"""What a run is: read a window, do the work, write it all to MLflow."""

from __future__ import annotations

import datetime as dt
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import mlflow
import numpy as np
from mlflow.data import dataset_source_registry
from mlflow.data.meta_dataset import MetaDataset

import registry
from evidence import METRICS, judge
from projects import plots
from projects.artifact import log_model
from projects.declaration import Window
from projects.errors import ProjectError
from projects.labelled import read_labelled, refuse_one_class, sample_rows
from projects.training import train
from storage import data_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy.typing as npt

    from projects.declaration import Project
    from projects.labelled import LabelledRows
    from registry import ModelVersion, Registry, Validation
    from storage import Store

_EXAMPLE_ROWS = 5


@dataclass(frozen=True)
class Workplace:
    """What a run works with: the registry, the data, and who hears of its progress."""

    registry: Registry
    store: Store
    environment: Mapping[str, str]
    progress: Callable[[str, int, int], None]


def train_version(project: Project, window: Window, sample: float, at: Workplace) -> ModelVersion:
    """Train on a window, log everything to a run, and register the result as a new version."""
    with _run(project, f"train {window}", at) as run_id:
        at.progress("Reading", 0, 1)
        rows = sample_rows(_read(project, window, at), sample, project.seed)
        _log_dataset(project, rows, window, "training")
        mlflow.log_params(
            {
                **project.parameters,
                "objective": project.objective,
                "rounds": project.rounds,
                "seed": project.seed,
                "window": str(window),
                "sampled": sample,
            }
        )
        booster = train(project, rows, lambda done: at.progress("Training", done, project.rounds))
        at.progress("Logging", 0, 1)
        example = rows.features.slice(0, _EXAMPLE_ROWS).to_pandas()
        model_uri = log_model(booster, project.features, example, run_id)
        version = registry.register(at.registry, project.model, model_uri, run_id)
        scorer = registry.load(at.registry, version)
        predicted = scorer.predict(rows.features).astype(np.float64)
        measured = _measure(project, rows, predicted)
        mlflow.log_metrics({f"train_{name}": value for name, value in measured.items()})
        mlflow.log_metric("rows", len(rows.label))
        mlflow.log_figure(plots.importance(booster), "plots/importance.png")
        mlflow.set_tags({"greenroom.version": version.version, "greenroom.digest": version.digest})
        return version


def validate_version(project: Project, version: int, window: Window | None, at: Workplace) -> Validation:
    """Hold a version, and the one in Production, against the gates on a window after its training.

    The verdict is recorded on the version, where the rules of review read it.
    """
    candidate = registry.find_version(at.registry, project.model, version)
    judged_on = _judging_window(project, candidate, window, at)
    champion, why_alone = _champion(candidate, judged_on, at)
    with _run(project, f"validate version {version} on {judged_on}", at) as run_id:
        at.progress("Reading", 0, 1)
        rows = _read(project, judged_on, at)
        refuse_one_class(rows)
        _log_dataset(project, rows, judged_on, "validation")
        versions = {"candidate": candidate, "champion": champion}
        predictions = {}
        for role, each in versions.items():
            if each is not None:
                at.progress(f"Scoring with version {each.version}", 0, 1)
                scored = registry.load(at.registry, each).predict(rows.features)
                predictions[role] = scored.astype(np.float64)
        named = {f"{role}, version {v.version}": predictions[role] for role, v in versions.items() if v}
        metrics = {role: _measure(project, rows, p) for role, p in predictions.items()}
        results = judge(project.gates, metrics["candidate"], metrics.get("champion"))
        for role, measured in metrics.items():
            mlflow.log_metrics({f"{role}_{name}": value for name, value in measured.items()})
        for name, figure in plots.quality(rows.label, named).items():
            mlflow.log_figure(figure, f"plots/{name}.png")
        verdict = registry.Validation(
            passed=all(r.passed for r in results),
            digest=candidate.digest or "",
            run_id=run_id,
            metrics=metrics["candidate"],
            reasons=tuple(r.sentence for r in results if not r.passed) or tuple(r.sentence for r in results),
            window=str(judged_on),
            rows=len(rows.label),
            compared_with=f"version {champion.version}" if champion else f"nothing: {why_alone}",
        )
        mlflow.set_tags(
            {
                "greenroom.version": candidate.version,
                "greenroom.digest": candidate.digest,
                "greenroom.champion": champion.version if champion else "none",
                "greenroom.verdict": "passed" if verdict.passed else "failed",
            }
        )
        registry.record_validation(at.registry, candidate, verdict)
        return verdict


@contextmanager
def _run(project: Project, name: str, at: Workplace) -> Iterator[str]:
    # `mlflow run` starts the run itself and passes its id in MLFLOW_RUN_ID.
    if "MLFLOW_RUN_ID" not in at.environment:
        mlflow.set_experiment(project.model)
    with mlflow.start_run(run_name=None if "MLFLOW_RUN_ID" in at.environment else name) as run:
        mlflow.set_tags(
            {"mlflow.runName": name, "mlflow.user": at.registry.user, "greenroom.project": project.name}
        )
        yield run.info.run_id


def _read(project: Project, window: Window, at: Workplace) -> LabelledRows:
    features_uri = data_uri(project.features_at, at.environment)
    outcomes_uri = data_uri(project.outcomes_at, at.environment)
    return read_labelled(project, window, features_uri, outcomes_uri, at.store)


def _judging_window(project: Project, candidate: ModelVersion, asked: Window | None, at: Workplace) -> Window:
    trained = _trained_on(candidate, at)
    if asked is not None:
        if trained is not None and asked.since <= trained.until:
            raise ProjectError(
                f"{candidate.name} version {candidate.version} was trained on {trained}, and is judged only"
                f" on days after that; found the window {asked}"
            )
        return asked
    if trained is None:
        raise ProjectError(
            f"{candidate.name} version {candidate.version} has no training run that says its window, so the"
            " window after it is not known; give --since and --until"
        )
    since = trained.until + dt.timedelta(days=1)
    return Window(since, since + dt.timedelta(days=project.validation_days - 1))


def _champion(
    candidate: ModelVersion, judged_on: Window, at: Workplace
) -> tuple[ModelVersion | None, str | None]:
    """Find the version to compare with, or say why the candidate is judged alone."""
    try:
        champion = registry.resolve(at.registry, f"models:/{candidate.name}/Production")
    except registry.NothingOnStageError:
        return None, "no version is in Production"
    if champion.version == candidate.version:
        return None, "it is in Production itself"
    trained = _trained_on(champion, at)
    if trained and trained.until >= judged_on.since:
        return None, f"version {champion.version} in Production was trained on days of this window, {trained}"
    return champion, None


def _trained_on(version: ModelVersion, at: Workplace) -> Window | None:
    run = at.registry.client.get_run(version.run_id) if version.run_id else None
    text = run.data.params.get("window") if run else None
    return Window(*(dt.date.fromisoformat(day) for day in text.split(" to "))) if text else None


def _measure(project: Project, rows: LabelledRows, predicted: npt.NDArray[np.float64]) -> dict[str, float]:
    return {name: METRICS[name].of(rows.label, predicted) for name in project.metrics}


def _log_dataset(project: Project, rows: LabelledRows, window: Window, context: str) -> None:
    for kind, snapshot in (("features", rows.features_snapshot), ("outcomes", rows.outcomes_snapshot)):
        source = dataset_source_registry.resolve_dataset_source(snapshot.prefix)
        # MLflow allows a digest 36 characters; the whole one is a tag.
        name = f"{project.name} {kind} {window}"
        mlflow.log_input(MetaDataset(source, name=name, digest=snapshot.digest[:36]), context)
        mlflow.set_tag(f"greenroom.snapshot.{context}.{kind}", snapshot.digest)
        mlflow.log_text(snapshot.to_tsv(), f"snapshots/{context}_{kind}.tsv")
