"""Tuning: search parameters on the rows of training, some of which are held back to compare trials on."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import mlflow
import optuna
import yaml
from optuna.trial import TrialState

from projects.declared import TUNED
from projects.errors import ProjectError
from projects.rows.labelled import find_or_write
from projects.runs import describe_surroundings, log_dataset, run
from projects.training import refuse_unused
from projects.tuning.held_back import check_days, hold_back
from projects.tuning.plots import draw_search
from projects.tuning.studies import finished, open_study
from projects.tuning.trial_runs import adopt_trials, log_trial
from projects.tuning.trials import Trials

if TYPE_CHECKING:
    from projects.declaration import Project
    from projects.parts import Part
    from projects.runs import Workplace
    from projects.tuning.search import Value


@dataclass(frozen=True)
class Tuned:
    """What a search found, on rows that helped to choose it: a validation has yet to judge it."""

    run_id: str
    metric: str
    best: float
    declared: float | None
    parameters: dict[str, Value]
    rounds: int
    trials: int
    pruned: int
    before: int


def tune(project: Project, part: Part, trials: int | None, at: Workplace) -> Tuned:
    """Try parameters until the study has as many trials as wanted; log them all to MLflow.

    Raises `ProjectError` where nothing is declared to be tried, or studies cannot be kept.
    """
    if project.search is None:
        raise ProjectError(
            f"The project {project.name} declares no search; add the key `search` to its project.yaml:"
            " metric, trials, rounds, patience, space"
        )
    wanted = trials or project.search.trials
    search = replace(project.search, trials=wanted)
    check_days(project, part)
    refuse_unused(
        project, {**project.parameters, **{name: each.first for name, each in search.space.items()}}
    )
    with run(project, f"tune on {part}", at) as run_id:
        at.progress("Reading", 0, 1)
        labelled = find_or_write(project, part, at.store, at.environment)
        log_dataset(project, labelled, "tuning", at)
        mlflow.set_tags(describe_surroundings())
        mlflow.log_params({"window": str(part), "metric": search.metric, "trials": wanted})
        rows = Trials(project, search, *hold_back(project, labelled, part))
        study = open_study(project, search, labelled, at.environment, higher_is_better=rows.higher_is_better)
        before = adopt_trials(study, run_id, at)
        _search(study, rows, wanted, run_id, at)
        found = _found(study, search.metric, run_id, before)
        mlflow.log_metrics({f"best_{search.metric}": found.best, "finished": found.trials})
        mlflow.log_params({f"best_{name}": value for name, value in found.parameters.items()})
        mlflow.log_text(tuned_text(project, found), TUNED)
        for name, figure in draw_search(study, search.metric).items():
            mlflow.log_figure(figure, f"plots/{name}.png")
        return found


def tuned_text(project: Project, found: Tuned) -> str:
    """Return the declaration of a project with the parameters that a search found."""
    declaration = yaml.safe_load(project.text)
    declaration["parameters"] = {**project.parameters, **found.parameters}
    declaration["rounds"] = found.rounds
    said = yaml.safe_dump(declaration, sort_keys=False, allow_unicode=True, width=100)
    return f"# {project.name} with the parameters that the run {found.run_id} found.\n{said}"


def _search(study: optuna.Study, rows: Trials, wanted: int, run_id: str, at: Workplace) -> None:
    def attempt(trial: optuna.Trial) -> float:
        began_ms = int(time.time() * 1000)
        tried = rows.run(trial)
        trial.set_user_attr("rounds", tried.best_round + 1)
        trial.set_user_attr("run_id", log_trial(tried, rows.search.metric, began_ms, run_id, at))
        if tried.pruned:
            raise optuna.TrialPruned
        return tried.best

    while (done := len(finished(study))) < wanted:
        at.progress(_so_far(study, rows.search.metric, done, wanted), done, wanted)
        study.optimize(attempt, n_trials=1)


def _so_far(study: optuna.Study, metric: str, done: int, wanted: int) -> str:
    said = f"Trial {done + 1} of {wanted}"
    return f"{said}, best {metric} {study.best_value:.4g}" if done else said


def _found(study: optuna.Study, metric: str, run_id: str, before: int) -> Tuned:
    done = finished(study)
    best = study.best_trial
    first = min(done, key=lambda trial: trial.number)
    return Tuned(
        run_id=run_id,
        metric=metric,
        best=study.best_value,
        declared=first.value if "fixed_params" in first.system_attrs else None,
        parameters=dict(best.params),
        rounds=int(best.user_attrs["rounds"]),
        trials=len(done),
        pruned=sum(trial.state is TrialState.PRUNED for trial in done),
        before=before,
    )
