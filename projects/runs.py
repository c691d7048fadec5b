"""What a training run is: find the rows, train, write it all to MLflow, register the version."""

from __future__ import annotations

import platform
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import git
import mlflow
import numpy as np
import xgboost as xgb
from mlflow.data import dataset_source_registry
from mlflow.data.meta_dataset import MetaDataset

import registry
from evidence import choose_threshold, metrics_for
from projects import plots
from projects.artifact import log_model
from projects.declared import DECLARATION, TUNED, declared_by
from projects.quality import suspicion
from projects.rows.labelled import find_or_write
from projects.rows.labelling import LABEL
from projects.training import refuse_unused, sampled, train
from storage import VERSION, S3Settings, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy.typing as npt
    import pandas as pd
    import pyarrow as pa

    from projects.declaration import Project
    from projects.parts import Part
    from projects.rows.labelled import LabelledSet
    from projects.training import Rows
    from registry import AnyScorer, ModelVersion, Registry

    Floats = npt.NDArray[np.float64]

_EXAMPLE_ROWS = 5
# The metric of a training run that says from which prediction on a row counts as positive.
THRESHOLD = "threshold"


@dataclass(frozen=True)
class Workplace:
    """What a run works with: the registry, the data, and who hears how it goes."""

    registry: Registry
    store: Store
    environment: Mapping[str, str]
    progress: Callable[[str, int, int], None]
    warn: Callable[[str], None] = lambda _: None
    tell: Callable[[str], None] = lambda _: None

    @classmethod
    def connect(
        cls,
        environment: Mapping[str, str],
        progress: Callable[[str, int, int], None] = lambda _what, _done, _total: None,
        warn: Callable[[str], None] = lambda _: None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> Workplace:
        """Prepare registry and store, as the environment names them."""
        store = Store.connect(S3Settings.from_environment(environment))
        return cls(registry.connect(environment), store, environment, progress, warn, tell)


def train_version(
    project: Project, part: Part, sample: float, at: Workplace, tuned: str | None = None
) -> ModelVersion:
    """Train on a part of the rows, log everything to a run, and register the result as a new version.

    With `tuned`, the id of a run of tuning, the declaration is the one which that run ended with.
    """
    if tuned is not None:
        project = declared_by(tuned, TUNED, at, project.name)
    refuse_unused(project, project.parameters)
    with run(project, f"train {part}", at) as run_id:
        at.progress("Reading", 0, 1)
        labelled = find_or_write(project, part, at.store, at.environment)
        log_dataset(project, labelled, "training", at)
        mlflow.log_text(project.text, DECLARATION)
        mlflow.set_tags(describe_surroundings() | ({"greenroom.tuned_by": tuned} if tuned else {}))
        mlflow.log_params(
            {
                **project.parameters,
                "objective": project.objective,
                "rounds": project.rounds,
                "seed": project.seed,
                "window": str(part),
                "sampled": sample,
            }
        )
        rows = sampled(rows_of(project, labelled), sample, project.seed)
        suspected = suspicion(project, rows)
        if suspected:
            at.warn(suspected)
            mlflow.set_tag("greenroom.warning", suspected)
        booster = train(project, rows, lambda done: at.progress("Training", done, project.rounds))
        at.progress("Logging", 0, 1)
        model_uri = log_model(booster, project.features, example_of(project, rows), run_id)
        version = registry.register(at.registry, project.model, model_uri, run_id)
        log_fit(project, version, rows, at)
        mlflow.log_figure(plots.importance(booster), "plots/importance.png")
        mlflow.set_tags({"greenroom.version": version.version, "greenroom.digest": version.digest})
        return version


def log_fit(project: Project, version: ModelVersion, rows: Rows, at: Workplace) -> None:
    """Write to the run how a version does on the rows it was trained on, and the threshold chosen there.

    The threshold is where F1 is best; `precision` and `recall` are judged at it, on other rows.
    """
    label, predicted = predict_all(registry.load(at.registry, version), rows)
    threshold = choose_threshold(label, predicted) if project.task == "classification" else None
    measured = metrics_for(project.task, project.metrics, threshold)
    fit = {f"train_{name}": metric.of(label, predicted) for name, metric in measured.items()}
    mlflow.log_metrics(fit | {"rows": len(label)} | ({} if threshold is None else {THRESHOLD: threshold}))


def rows_of(project: Project, labelled: LabelledSet) -> Rows:
    """Return the features and the label of a labelled set, to be gone over as often as it takes."""
    return lambda: labelled.batches([*project.features, LABEL])


def example_of(project: Project, rows: Rows) -> pd.DataFrame:
    """Return the first few rows as a client would send them."""
    first = next(table for table in rows() if len(table)).select(list(project.features))
    return first.slice(0, _EXAMPLE_ROWS).to_pandas()  # type: ignore[no-any-return]  # pyarrow has no types


def describe_surroundings() -> dict[str, str]:
    """Return what decides, besides data and parameters, which bytes a training gives; as tags."""
    commit = _commit()
    return {
        "greenroom.xgboost": xgb.__version__,
        "greenroom.mlflow": mlflow.__version__,
        "greenroom.python": platform.python_version(),
        **({"greenroom.commit": commit} if commit else {}),
    }


def _commit() -> str | None:
    """Return the commit this code is of, and whether it was changed since; None where there is no git."""
    try:
        code = git.Repo(Path(__file__).parent, search_parent_directories=True)
        return f"{code.head.commit.hexsha}{' and changes' if code.is_dirty() else ''}"
    except (git.exc.GitError, ValueError):  # no repository, no git, no commit yet
        return None


def predict_all(scorer: AnyScorer, rows: Rows) -> tuple[Floats, Floats]:
    """Score rows batch by batch; return their labels and predictions, both (rows,)."""
    labels, predictions = [], []
    for table in rows():
        labels.append(table[LABEL].to_numpy())
        predictions.append(scorer.predict(_features(table)).astype(np.float64))
    return np.concatenate(labels), np.concatenate(predictions)


@contextmanager
def run(project: Project, name: str, at: Workplace) -> Iterator[str]:
    """Open a run of MLflow, or the one that `mlflow run` has opened; yield its id."""
    # `mlflow run` starts the run itself and passes its id in MLFLOW_RUN_ID.
    if "MLFLOW_RUN_ID" in at.environment:
        opened = mlflow.start_run()
    else:
        experiment = registry.experiment_id(at.registry, project.model)
        opened = mlflow.start_run(run_name=name, experiment_id=experiment)
    with opened as started:
        mlflow.set_tags(
            {"mlflow.runName": name, "mlflow.user": at.registry.user, "greenroom.project": project.name}
        )
        yield started.info.run_id


def log_dataset(project: Project, labelled: LabelledSet, context: str, at: Workplace) -> None:
    """Record what rows a run reads, and which versions of which objects they were made of.

    Says how many were left out, where there are any: whoever judges a model should know.
    """
    _log_input(labelled.uri, f"{project.name} rows {labelled.part}", labelled.digest, context)
    mlflow.set_tag(f"greenroom.labelled.{context}", labelled.uri)
    mlflow.set_tag(f"greenroom.labelled.{context}.version", VERSION)
    mlflow.set_tag(f"greenroom.labelled.{context}.digest", labelled.digest)
    if labelled.unlabelled is not None:
        said = (
            f"{labelled.unlabelled:,} of {labelled.rows + labelled.unlabelled:,} rows ({labelled.part}) are"
            f" left out: their label {project.label} is null or NaN"
        )
        mlflow.log_metric("rows_without_label", labelled.unlabelled)
        # The review pages show it.
        mlflow.set_tag(f"greenroom.quality.{context}", said)
        if labelled.unlabelled:
            at.tell(said)
    for kind, snapshot in labelled.sources.items():
        _log_input(snapshot.prefix, f"{project.name} {kind} {labelled.part}", snapshot.digest, context)
        mlflow.set_tag(f"greenroom.snapshot.{context}.{kind}", snapshot.digest)
        mlflow.log_text(snapshot.to_tsv(), f"snapshots/{context}_{kind}.tsv")


def _log_input(uri: str, name: str, digest: str, context: str) -> None:
    source = dataset_source_registry.resolve_dataset_source(uri)
    # MLflow allows a digest 36 characters; the whole one is a tag.
    mlflow.log_input(MetaDataset(source, name=name, digest=digest[:36]), context)


def _features(table: pa.Table) -> pa.Table:
    return table.drop_columns([name for name in table.column_names if name.startswith("_")])
