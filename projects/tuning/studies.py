"""Studies: what Optuna remembers of a search, in a database, so that a search that was killed goes on."""

from __future__ import annotations

import hashlib
import json
import warnings
from dataclasses import asdict
from typing import TYPE_CHECKING

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.trial import TrialState
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from projects.errors import ProjectError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from projects.declaration import Project
    from projects.rows.labelled import LabelledSet
    from projects.tuning.search import Search

WHERE = "GREENROOM_STUDIES"
# A trial whose process has not been heard of for this long is taken for dead, and not counted.
_HEARTBEAT_S, _GRACE_S = 5, 20
# What every trial is spared until there is something to compare it with.
_FIRST_TRIALS, _FIRST_ROUNDS = 5, 20


def open_study(
    project: Project,
    search: Search,
    labelled: LabelledSet,
    environment: Mapping[str, str],
    *,
    higher_is_better: bool,
) -> optuna.Study:
    """Open the study of a search on these rows: a new one, or the one begun before.

    The declared parameters are tried first, where the space holds them all, so that the best is never
    worse than those. Raises `ProjectError` where there is no database for studies.
    """
    address = environment.get(WHERE)
    if not address:
        raise ProjectError(
            f"{WHERE}, the database that keeps studies, is not set; expected an address such as"
            ' postgresql+psycopg://… With the embedded stack: eval "$(make -s env)"'
        )
    try:
        shown = make_url(address).render_as_string(hide_password=True)
    except ArgumentError as error:
        raise ProjectError(f"{WHERE} is no address of a database; expected sqlite:///… or …") from error
    try:
        # A feature that may change, says Optuna; a search that is asked again survives it.
        with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):
            storage = optuna.storages.RDBStorage(
                address, heartbeat_interval=_HEARTBEAT_S, grace_period=_GRACE_S
            )
        study = optuna.create_study(
            storage=storage,
            study_name=f"{project.name} {_digest(project, search, labelled)}",
            direction="maximize" if higher_is_better else "minimize",
            pruner=optuna.pruners.MedianPruner(_FIRST_TRIALS, _FIRST_ROUNDS),
            load_if_exists=True,
        )
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError, ImportError, RuntimeError) as error:
        raise ProjectError(f"Could not open the studies in {shown}: {error}") from error
    # Seeded, so that a search can be repeated; anew, or one that goes on would try the first trials again.
    study.sampler = optuna.samplers.TPESampler(seed=project.seed + len(study.trials))
    if not study.trials:
        declared = {name: project.parameters.get(name) for name in search.space}
        if all(value is not None and search.space[name].holds(value) for name, value in declared.items()):
            study.enqueue_trial(declared)
    return study


def finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Return the trials that came to a result or were pruned."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def _digest(project: Project, search: Search, labelled: LabelledSet) -> str:
    """Tell apart searches whose trials cannot be compared. More trials are the same search."""
    said = {
        "rows": labelled.digest,
        "features": list(project.features.items()),
        "objective": project.objective,
        "parameters": project.parameters,
        "seed": project.seed,
        "held": [project.validation_days, project.held_out],
        "search": {key: value for key, value in asdict(search).items() if key != "trials"},
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]
