"""Simulated live traffic: what two versions' outcomes are like, and the truth of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    # How many, and whether the challenger is changed; values of challenger and of champion.
    Draw = Callable[[np.random.Generator, int, bool], tuple[Floats, Floats]]

LEVEL, POWER = 0.05, 0.8

_TRUTH_ROWS = 2_000_000
_TRUTH_SEED = 1


@dataclass(frozen=True)
class World:
    """Outcomes of champion and challenger by one metric.

    `draw` gives so many values of both, for the same requests, of a challenger that is changed or in truth
    equal. Unless `share`, that of the challenger, is None, each request is answered by one of the two.
    """

    name: str
    metric: str
    share: float | None
    draw: Draw
    bounds: tuple[float, float] | None = None


@dataclass(frozen=True)
class Truth:
    """The stated effect, challenger - champion, and the outcomes that a t-test takes to find it."""

    effect: float
    fixed: int


@cache
def truth(world: World) -> Truth:
    """Measure the effect on very many outcomes, and plan a fixed sample for 80 % power, rounded up to 100."""
    ours, theirs = world.draw(np.random.default_rng(_TRUTH_SEED), _TRUTH_ROWS, True)  # noqa: FBT003
    effect = float(ours.mean() - theirs.mean())
    if world.share is None:
        variance = float((ours - theirs).var())
    else:
        variance = float(ours.var() / world.share + theirs.var() / (1 - world.share))
    needed = (ndtri(1 - LEVEL / 2) + ndtri(POWER)) ** 2 * variance / effect**2
    return Truth(effect, int(np.ceil(needed / 100)) * 100)


def _brier(label: Floats, predicted: Floats) -> Floats:
    return (predicted - label) ** 2


def _log_loss(label: Floats, predicted: Floats) -> Floats:
    return np.asarray(-np.log(np.where(label == 1, predicted, 1 - predicted)))


def _predictions(of: Callable[[Floats, Floats], Floats], changed_noise: float) -> Draw:
    """Two models that see the same rows through some noise in common and some of their own."""

    def draw(random: np.random.Generator, rows: int, changed: bool) -> tuple[Floats, Floats]:  # noqa: FBT001
        known = random.normal(size=rows)
        label = (random.random(rows) < _logistic(1.5 * known - 1.2)).astype(np.float64)
        seen = known + random.normal(0, 0.4, rows)
        values = [
            of(label, _logistic(1.5 * (seen + random.normal(0, noise, rows)) - 1.2))
            for noise in (changed_noise if changed else 0.6, 0.6)
        ]
        return values[0], values[1]

    return draw


def _shares(equal: float, changed: float) -> Draw:
    def draw(random: np.random.Generator, rows: int, is_changed: bool) -> tuple[Floats, Floats]:  # noqa: FBT001
        ours = random.random(rows) < (changed if is_changed else equal)
        return ours.astype(np.float64), (random.random(rows) < equal).astype(np.float64)

    return draw


def _latencies(slower: float, tail: float = 1.0) -> Draw:
    def draw(random: np.random.Generator, rows: int, changed: bool) -> tuple[Floats, Floats]:  # noqa: FBT001
        ours, theirs = random.lognormal(1, tail, rows), random.lognormal(1, tail, rows)
        return ours * (slower if changed else 1), theirs

    return draw


def _logistic(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)))


WORLDS = (
    World("brier, half", "brier", 0.5, _predictions(_brier, 0.1)),
    World("brier, a tenth", "brier", 0.1, _predictions(_brier, 0.05)),
    World("brier, shadow", "brier", None, _predictions(_brier, 0.1)),
    World("brier, shadow, slight", "brier", None, _predictions(_brier, 0.5)),
    World("log loss, half", "log_loss", 0.5, _predictions(_log_loss, 0.1)),
    World("log loss, shadow", "log_loss", None, _predictions(_log_loss, 0.1)),
    World("error rate, half", "error_rate", 0.5, _shares(0.01, 0.02)),
    World("reward, half", "reward", 0.5, _shares(0.1, 0.13), (0, 1)),
    World("latency, half", "latency_ms", 0.5, _latencies(1.15)),
    World("latency, a tenth", "latency_ms", 0.1, _latencies(1.25)),
    World("latency, heavy tail", "latency_ms", 0.1, _latencies(1.5, 1.5)),
)
