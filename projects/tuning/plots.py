"""Plots of a search. Apart from the others: what Optuna needs for them takes seconds to import."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.study import StudyDirection
from optuna.trial import TrialState

from projects.plots import new_figure

if TYPE_CHECKING:
    import optuna
    from matplotlib.figure import Figure

# Of one trial, or of equal ones, nothing can be said.
_LEAST_TO_COMPARE = 2


def draw_search(study: optuna.Study, metric: str) -> dict[str, Figure]:
    """Plot what the trials of a search came to, and which parameters made the difference; by file name."""
    history, axes = new_figure("Trials", "trial", f"best {metric}")
    whole = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    numbers, values = [t.number for t in whole], np.array([t.value for t in whole])
    best = np.minimum if study.direction is StudyDirection.MINIMIZE else np.maximum
    axes.scatter(numbers, values, s=14, color="#2b6cb0", label="a trial that was not pruned")
    axes.step(numbers, best.accumulate(values), where="post", color="#c05621", label="the best so far")
    pruned = [t.number for t in study.get_trials(deepcopy=False, states=(TrialState.PRUNED,))]
    if pruned:
        # On the axis: what they would have come to is not known.
        axes.scatter(
            pruned,
            [0] * len(pruned),
            transform=axes.get_xaxis_transform(),
            marker="x",
            color="#a0aec0",
            clip_on=False,
            label="a trial that was pruned",
        )
        # What is placed on the axis does not stretch it, and the last trials may be pruned ones.
        axes.set_xlim(-0.5, max(*numbers, *pruned) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)
    if len(np.unique(values)) < _LEAST_TO_COMPARE:
        return {"history": history}
    # Seeded: it grows trees at random.
    shares = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
    figure, axes = new_figure("What the search hung on", f"share of the variance of {metric}", "")
    axes.barh(list(shares)[::-1], list(shares.values())[::-1], color="#2b6cb0")
    return {"history": history, "parameters": figure}
