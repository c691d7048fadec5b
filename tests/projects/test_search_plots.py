"""The plot of a search shows every trial, whole or pruned."""

from __future__ import annotations

import numpy as np
import optuna
from matplotlib.collections import PathCollection
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from projects.tuning.plots import draw_search

DEPTH: dict[str, BaseDistribution] = {"max_depth": IntDistribution(1, 9)}


def test_trials_that_were_pruned_last_are_inside_the_plot() -> None:
    study = optuna.create_study(direction="minimize")
    for depth, loss in ((3, 0.6), (4, 0.5)):
        study.add_trial(create_trial(params={"max_depth": depth}, distributions=DEPTH, value=loss))
    for depth in (8, 9):
        state = TrialState.PRUNED
        study.add_trial(create_trial(params={"max_depth": depth}, distributions=DEPTH, state=state))

    (axes,) = draw_search(study, "log_loss")["history"].axes

    shown = {
        str(points.get_label()): np.asarray(points.get_offsets())[:, 0].tolist()
        for points in axes.collections
        if isinstance(points, PathCollection)
    }
    assert shown == {"a trial that was not pruned": [0, 1], "a trial that was pruned": [2, 3]}
    first, last = axes.get_xlim()
    assert first < 0
    assert last > 3
