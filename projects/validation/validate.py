"""Offline validation: candidate and champion on identical rows that neither was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mlflow
import numpy as np
import pyarrow.compute as pc

import registry
from evidence import Sample, Verdict, calibration_curve, judge, measure, metrics_for, overall
from projects import plots
from projects.errors import ProjectError
from projects.parsing import MONTH
from projects.quality import measure_quality
from projects.rows.labelled import find_or_write
from projects.rows.labelling import DAY
from projects.runs import THRESHOLD, Workplace, log_dataset, predict_all, rows_of, run
from projects.training import refuse_constant
from projects.validation.card import Judgement, write_card
from projects.validation.comparison import choose_part, find_champion
from projects.validation.contributions import draw_contributions
from projects.validation.figures import CANDIDATE, flat_metrics, log_metrics
from projects.validation.servability import ROWS, check_servability

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    import pyarrow as pa

    from projects.declaration import Project
    from projects.parts import Window
    from projects.rows.labelled import LabelledSet
    from projects.training import Rows
    from registry import AnyScorer, ModelVersion, Validation

    Floats = npt.NDArray[np.float64]
    Column = npt.NDArray[np.generic]


def validate_version(project: Project, version: int, window: Window | None, at: Workplace) -> Validation:
    """Hold a version, and the one in Production, against the gates on rows it was not trained on.

    The verdict is recorded on the version, where the rules of review read it.
    """
    candidate = registry.find_version(at.registry, project.model, version)
    part = choose_part(project, candidate, window, at)
    champion, why_alone = find_champion(project, candidate, part, at)
    with run(project, f"validate version {version} on {part}", at) as run_id:
        at.progress("Reading", 0, 1)
        labelled = find_or_write(project, part, at.store, at.environment)
        rows = rows_of(project, labelled)
        refuse_constant(project, labelled.labels)
        log_dataset(project, labelled, "validation", at)
        versions = {"candidate": candidate, **({"champion": champion} if champion else {})}
        scorers = {role: _load(role, version, at) for role, version in versions.items()}
        label, predictions = _score(scorers, rows, at)
        at.progress("Judging", 0, 1)
        columns = columns_of(project, labelled)
        sample = Sample(label, predictions["candidate"], predictions.get("champion"), columns.pop(DAY, None))
        bands = {name: edges for name, edges in project.slices.items() if edges is not None}
        try:
            metrics = metrics_for(project.task, project.metrics, _threshold(candidate, at))
            findings = measure(metrics, sample, columns, bands, measure_quality(project, labelled))
            results = judge(project.gates, findings)
        except ValueError as error:
            raise ProjectError(f"{candidate.name} version {version} cannot be judged: {error}") from error
        at.progress("Serving", 0, 1)
        servable, served = check_servability(candidate, scorers["candidate"], _some(project, rows), at)
        results.append(servable)
        judgement = Judgement(
            judged_on=str(part),
            compared_with=f"version {champion.version}" if champion else f"nothing: {why_alone}",
            findings=findings,
            calibration=calibration_curve(label, predictions["candidate"]),
            results=results,
            outcome=overall(results),
        )
        named = {f"{role}, version {v.version}": predictions[role] for role, v in versions.items()}
        for name, figure in plots.quality(project.task, label, named).items():
            mlflow.log_figure(figure, f"plots/{name}.png")
        if findings.slices:
            mlflow.log_figure(plots.slices(findings, project.metrics[0]), "plots/slices.png")
        if isinstance(scorers["candidate"], registry.Scorer):
            moved = draw_contributions(scorers["candidate"], next(rows()))
            mlflow.log_figure(moved, "plots/contributions.png")
        card = write_card(project, candidate, _training_facts(candidate, at), judgement)
        mlflow.log_text(card, "model_card.md")
        flat = flat_metrics(findings) | served
        log_metrics(flat)
        mlflow.set_tags(
            {
                "greenroom.version": candidate.version,
                "greenroom.digest": candidate.digest,
                "greenroom.champion": champion.version if champion else "none",
                "greenroom.verdict": str(judgement.outcome),
            }
        )
        verdict = registry.Validation(
            passed=judgement.outcome is Verdict.PASSED,
            digest=candidate.digest or "",
            run_id=run_id,
            metrics={n.removeprefix(CANDIDATE): v for n, v in flat.items() if n.startswith(CANDIDATE)},
            reasons=tuple(r.sentence for r in results if r.verdict is judgement.outcome),
            window=judgement.judged_on,
            rows=len(label),
            compared_with=judgement.compared_with,
            outcome=str(judgement.outcome),
        )
        registry.record_validation(at.registry, candidate, verdict)
        return verdict


def _load(role: str, version: ModelVersion, at: Workplace) -> AnyScorer:
    try:
        return registry.load(at.registry, version)
    except registry.ArtifactError as error:
        raise ProjectError(f"The {role} cannot be judged: {error}") from error


def _score(scorers: Mapping[str, AnyScorer], rows: Rows, at: Workplace) -> tuple[Floats, dict[str, Floats]]:
    label, predictions = np.empty(0), {}
    for role, scorer in scorers.items():
        at.progress(f"Scoring with the {role}", 0, 1)
        label, predictions[role] = predict_all(scorer, rows)
    return label, predictions


def _threshold(version: ModelVersion, at: Workplace) -> float | None:
    """Return where the training of a version would have its predictions cut; None where it did not say."""
    run = at.registry.client.get_run(version.run_id) if version.run_id else None
    return run.data.metrics.get(THRESHOLD) if run else None


def _some(project: Project, rows: Rows) -> pa.Table:
    """Return rows that can be asked for: JSON knows no infinite number."""
    some = next(table for table in rows() if len(table)).slice(0, 2 * ROWS)
    for name, kind in project.features.items():
        if kind == "number":
            some = some.filter(pc.fill_null(pc.invert(pc.is_inf(some[name])), True))  # noqa: FBT003  # no number
    return some.slice(0, ROWS)


def columns_of(project: Project, labelled: LabelledSet) -> dict[str, Column]:
    """Read what rows are sliced by, and the day of each, which is its block; all (rows,)."""
    wanted = [name for name in project.slices if name != MONTH or name in project.features]
    timed = project.time is not None
    parts: dict[str, list[Column]] = {name: [] for name in [*wanted, *([DAY] if timed else [])]}
    for table in labelled.batches(list(parts)) if parts else ():
        for name, found in parts.items():
            found.append(table[name].to_numpy())
    columns = {name: np.concatenate(found) for name, found in parts.items()}
    if MONTH in project.slices and MONTH not in wanted:
        columns[MONTH] = columns[DAY].astype("datetime64[M]").astype(str)
    return columns


def _training_facts(version: ModelVersion, at: Workplace) -> dict[str, str]:
    """Return what the card says of the training, as far as the run is there and says it."""
    if not version.run_id:
        return {}
    data = at.registry.client.get_run(version.run_id).data
    named = {
        "window": data.params.get("window"),
        "threshold of precision and recall": data.metrics.get(THRESHOLD) and f"{data.metrics[THRESHOLD]:.4g}",
        "rows of training": data.metrics.get("rows") and f"{data.metrics['rows']:,.0f}",
        "rows without a label, left out": "rows_without_label" in data.metrics
        and f"{data.metrics['rows_without_label']:,.0f}",
        "code": data.tags.get("greenroom.commit") or data.tags.get("mlflow.source.git.commit"),
        "data": data.tags.get("greenroom.labelled.training.digest"),
        "xgboost": data.tags.get("greenroom.xgboost"),
    }
    return {key: str(value) for key, value in named.items() if value}
