"""One trial of a search: parameters suggested, a booster trained on some rows and judged on the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import xgboost as xgb

from evidence import metrics_for
from projects.training import bin_rows, boost
from projects.tuning.search import Range

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt
    import optuna

    from evidence import Metric
    from projects.declaration import Project
    from projects.training import Binned, Rows
    from projects.tuning.search import Choice, Search, Value

    Floats = npt.NDArray[np.float64]
    # What XGBoost keeps of the metrics: by rows, by name, one number a round.
    Log = dict[str, dict[str, list[float]]]

_HELD = "held"
# How often a trial asks whether to go on: each time writes to the database of the studies.
_ASK_EVERY = 10


@dataclass(frozen=True)
class Tried:
    """What one trial gave: the metric after each round, up to where it stopped; pruned, or to its end."""

    number: int
    parameters: dict[str, Value]
    curve: tuple[float, ...]
    best_round: int
    pruned: bool

    @property
    def best(self) -> float:
        """The metric after the best round."""
        return self.curve[self.best_round]


class Trials:
    """The rows of a search, binned once for all trials that want as many bins."""

    def __init__(self, project: Project, search: Search, learn: Rows, held: Rows) -> None:
        self.project, self.search = project, search
        self._learn, self._held = learn, held
        self._metric = metrics_for(project.task, [search.metric])[search.metric]
        self._binned: tuple[object, Binned, Binned] | None = None

    @property
    def higher_is_better(self) -> bool:
        """Whether the metric that trials are compared by is better high."""
        return bool(self._metric.higher_is_better)

    def run(self, trial: optuna.Trial) -> Tried:
        """Train and judge what the study suggests. Raises `ProjectError` for parameters XGBoost refuses."""
        chosen = {name: suggest(trial, name, each) for name, each in self.search.space.items()}
        parameters = {**self.project.parameters, **chosen}
        learn, held = self._bins(parameters)
        kept: Log = {}
        watch = _Watch(trial, self._metric.name)
        boost(
            self.project,
            {**parameters, "disable_default_eval_metric": True},
            learn.matrix,
            self.search.rounds,
            evals=[(held.matrix, _HELD)],
            evals_result=kept,
            custom_metric=_told(self._metric),
            callbacks=[
                xgb.callback.EarlyStopping(
                    rounds=self.search.patience,
                    metric_name=self._metric.name,
                    maximize=self.higher_is_better,
                ),
                watch,
            ],
            verbose_eval=False,
        )
        curve = tuple(kept[_HELD][self._metric.name])
        best = max(curve) if self.higher_is_better else min(curve)
        return Tried(trial.number, chosen, curve, curve.index(best), watch.pruned)

    def _bins(self, parameters: dict[str, Value]) -> tuple[Binned, Binned]:
        wanted = parameters.get("max_bin")
        if self._binned is None or self._binned[0] != wanted:
            learn = bin_rows(self.project, self._learn, parameters)
            self._binned = wanted, learn, bin_rows(self.project, self._held, parameters, like=learn)
        return self._binned[1:]


def suggest(trial: optuna.Trial, name: str, each: Range | Choice) -> Value:
    """Ask the study for a value of one parameter."""
    if not isinstance(each, Range):
        return cast("Value", trial.suggest_categorical(name, each.among))
    if each.whole:
        return trial.suggest_int(name, int(each.low), int(each.high), log=each.log)
    return trial.suggest_float(name, each.low, each.high, log=each.log)


def _told(metric: Metric) -> Callable[[Floats, xgb.DMatrix], tuple[str, float]]:
    # XGBoost hands a metric what the objective predicts: probabilities, or numbers as they are.
    return lambda predicted, matrix: (
        metric.name,
        metric.of(matrix.get_label().astype("float64"), predicted.astype("float64")),
    )


class _Watch(xgb.callback.TrainingCallback):  # type: ignore[misc]  # xgboost has no types
    """Tells the study how a trial goes, and ends one that it gives up."""

    def __init__(self, trial: optuna.Trial, metric: str) -> None:
        super().__init__()
        self.trial, self.metric, self.pruned = trial, metric, False

    def after_iteration(self, model: object, epoch: int, evals_log: Log) -> bool:  # noqa: ARG002
        if (epoch + 1) % _ASK_EVERY == 0:
            self.trial.report(evals_log[_HELD][self.metric][-1], epoch)
            self.pruned = self.trial.should_prune()
        return self.pruned
