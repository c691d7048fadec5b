"""Simulated days of two models' predictions, in which the rows of a day are alike, and the truth of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from evidence import METRICS

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

MEASURED = ("auc", "log_loss", "rmse")

_ROWS_A_DAY = 120
_TRUTH_DAYS = 12_000
_TRUTH_SEED = 1
# Noise in what a model knows of a row, beside the row's own spread of 1.
_NOISE = 0.6
_MORE_NOISE = 0.8


@dataclass(frozen=True)
class Days:
    """Rows with the label and both models' predictions of either task; all (rows,)."""

    day: npt.NDArray[np.int64]
    late: Floats
    minutes: Floats
    candidate: dict[str, Floats]
    champion: dict[str, Floats]

    def of(self, metric: str) -> tuple[Floats, Floats, Floats]:
        """Return label, candidate and champion of the metric's task."""
        task = METRICS[metric].task
        label = self.late if task == "classification" else self.minutes
        return label, self.candidate[task], self.champion[task]


def simulate(random: np.random.Generator, days: int, *, equal: bool) -> Days:
    """Draw days of unequal length. A day moves its labels, and each model's predictions, all together.

    Both models see the same rows, each with noise of its own. Where they are `equal`, they have as much
    of it, so that they differ row by row and day by day and are of exactly equal quality; else the
    champion has more.
    """
    rows = random.poisson(_ROWS_A_DAY * np.exp(random.normal(0, 0.25, days))) + 1
    day = np.repeat(np.arange(days), rows)
    count = len(day)
    known, of_day = random.normal(size=count), random.normal(0, 0.5, days)[day]
    late = random.random(count) < _logistic(known + of_day - 1.2)
    models = []
    for noise in (_NOISE, _NOISE if equal else _MORE_NOISE):
        found = known + random.normal(0, noise, count)
        shift = random.normal(0, 0.3, days)[day]
        models.append({"classification": _logistic(0.8 * found - 1.2 + shift), "regression": found + shift})
    minutes = known + of_day + random.normal(size=count)
    return Days(day, late.astype(np.float64), minutes, *models)


@cache
def truth() -> tuple[dict[str, float], dict[str, float]]:
    """Return what the metrics of candidate and of champion are over so many days that it hardly varies."""
    days = simulate(np.random.default_rng(_TRUTH_SEED), _TRUTH_DAYS, equal=False)
    candidate, champion = {}, {}
    for name in MEASURED:
        label, ours, theirs = days.of(name)
        candidate[name] = METRICS[name].of(label, ours)
        champion[name] = METRICS[name].of(label, theirs)
    return candidate, champion


def _logistic(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-x))
