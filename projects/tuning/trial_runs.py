"""Runs of trials: each trial of a search is a run of MLflow, below the run of the search."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mlflow.entities import Metric, Param, RunStatus
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME

from projects.tuning.studies import finished

if TYPE_CHECKING:
    import optuna

    from projects.runs import Workplace
    from projects.tuning.trials import Tried

# What MLflow takes in one request.
_MOST_POINTS = 1000
_RUN = "run_id"


def log_trial(tried: Tried, metric: str, began_ms: int, parent: str, at: Workplace) -> str:
    """Write a trial to MLflow when it is over, so that one that was killed leaves no run behind."""
    client = at.registry.client
    experiment = client.get_run(parent).info.experiment_id
    tags = {
        MLFLOW_PARENT_RUN_ID: parent,
        MLFLOW_RUN_NAME: f"trial {tried.number}",
        "mlflow.user": at.registry.user,
    }
    child = client.create_run(experiment, start_time=began_ms, tags=tags)
    run_id = str(child.info.run_id)
    now_ms = int(time.time() * 1000)
    points = [Metric(metric, value, now_ms, step) for step, value in enumerate(tried.curve)]
    best = [
        Metric(f"best_{metric}", tried.best, now_ms, 0),
        Metric("rounds", tried.best_round + 1, now_ms, 0),
    ]
    client.log_batch(
        run_id,
        metrics=[*points[-(_MOST_POINTS - len(best)) :], *best],
        params=[Param(name, str(value)) for name, value in tried.parameters.items()],
    )
    client.set_tag(run_id, "greenroom.trial", "pruned" if tried.pruned else "finished")
    # As `set_terminated`, which prints two lines for each.
    client.update_run(run_id, status="FINISHED")
    return run_id


def adopt_trials(study: optuna.Study, run_id: str, at: Workplace) -> int:
    """Put the trials of a search that goes on under this run, beside those to come; return how many."""
    client = at.registry.client
    known = finished(study)
    for trial in known:
        client.set_tag(trial.user_attrs["run_id"], MLFLOW_PARENT_RUN_ID, run_id)
    last = study.user_attrs.get(_RUN)
    if last and RunStatus.is_terminated(RunStatus.from_string(client.get_run(last).info.status)) is False:
        # Whoever was killed could not say so. One that lives says at its end that it has finished.
        client.set_terminated(last, "KILLED")
    study.set_user_attr(_RUN, run_id)
    return len(known)
