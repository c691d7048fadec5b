"""Challenger against champion on live outcomes, in words that hold whenever one looks."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, cast

import numpy as np

from evidence.live import sentences
from evidence.live.metrics import LIVE_METRICS
from evidence.sequential import Moments, matched_differences, sequence, spread_of_larger

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from evidence.live.metrics import LiveMetric
    from evidence.sequential import Interval, RatioFinding
    from evidence.statistic import Floats

Outcome = Literal["better", "worse", "no_difference", "keep_going", "no_data", "mismatch"]

# How much more is tried, relative to what there is, when it is asked how much more it may take.
_MORE = np.geomspace(1.02, 1000, 120)
_LEAST_TO_FORESEE = 30


@dataclass(frozen=True)
class Goal:
    """What to find out of a metric: differences up to `delta` do not matter; 0 means that all do.

    `bounds` replace what is known of the metric itself, as of a reward.
    """

    delta: float = 0.0
    bounds: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.delta < np.inf:
            raise ValueError(f"delta is {self.delta}, expected 0 or more")
        if self.bounds is not None and not -np.inf < self.bounds[0] < self.bounds[1] < np.inf:
            raise ValueError(f"the bounds are {self.bounds}, expected (least, most)")


@dataclass(frozen=True)
class Comparison:
    """Challenger - champion by one metric, with an interval that holds at every look; None: nothing is known.

    `observations` are pairs where the comparison is paired, else outcomes of both arms; `more` estimates how
    many more of them a decision takes, if they are like those so far: None where there is one, or no end in
    sight.
    """

    metric: str
    outcome: Outcome
    difference: float | None
    low: float | None
    high: float | None
    delta: float
    observations: int
    more: int | None
    said: str


@dataclass(frozen=True)
class LiveVerdict:
    """All comparisons of two arms, and `said`, sentences on how they were made."""

    comparisons: tuple[Comparison, ...]
    ratio: RatioFinding | None
    alpha: float
    paired: bool
    said: tuple[str, ...]


def compare(
    challenger: Mapping[str, Floats],
    champion: Mapping[str, Floats],
    goals: Mapping[str, Goal],
    *,
    paired: bool = False,
    ratio: RatioFinding | None = None,
    weights: tuple[float, float] | None = None,
    alpha: float = 0.05,
) -> LiveVerdict:
    """Compare the values of two arms by each metric of `goals`; a metric's values are (rows,), as answered.

    `paired`: both arms answered the same requests, in the same order. Otherwise `weights` are those of
    (challenger, champion), None for what the counts say. Each metric gets an equal part of `alpha`, so that
    the chance of any wrong word, ever, is at most alpha; `ratio` has an alpha of its own, and a mismatch
    leaves every metric undecided. Raises `ValueError` for a metric that is not known, a goal that cannot be,
    and pairs that are none.
    """
    unknown = [name for name in goals if name not in LIVE_METRICS]
    if unknown:
        raise ValueError(f"metric {unknown[0]!r} is not known, expected one of {', '.join(LIVE_METRICS)}")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is {alpha}, expected a number between 0 and 1, as 0.05")
    nothing = np.empty(0)
    comparisons = []
    for name, goal in goals.items():
        ours, theirs = (np.asarray(arm.get(name, nothing), np.float64) for arm in (challenger, champion))
        found = _by_metric(LIVE_METRICS[name], goal, _meet(ours, theirs, weights, paired), alpha / len(goals))
        comparisons.append(found if ratio is None or not ratio.is_mismatch else _set_aside(found))
    said = sentences.of_all(ratio, goals, alpha, paired=paired)
    return LiveVerdict(tuple(comparisons), ratio, alpha, paired, said)


@dataclass(frozen=True)
class _Met:
    """Finite values of challenger and champion, how many were not, and the differences made of them."""

    ours: Floats
    theirs: Floats
    left_out: int
    differences: Floats
    observations: int
    least_variance: float = 0.0
    paired: bool = False


def _meet(ours: Floats, theirs: Floats, weights: tuple[float, float] | None, paired: bool) -> _Met:  # noqa: FBT001
    usable, theirs_usable = np.isfinite(ours), np.isfinite(theirs)
    if paired:
        if ours.shape != theirs.shape:
            raise ValueError(
                f"found {len(ours)} values of the challenger, {len(theirs)} of the champion, expected pairs"
            )
        usable = theirs_usable = usable & theirs_usable
    left_out = int((~usable).sum() + (0 if paired else (~theirs_usable).sum()))
    ours, theirs = ours[usable], theirs[theirs_usable]
    if paired:
        return _Met(ours, theirs, left_out, ours - theirs, len(ours), paired=True)
    if not len(ours) or not len(theirs):
        return _Met(ours, theirs, left_out, np.empty(0), len(ours) + len(theirs))
    # Weights that gave an arm nothing are not those by which it got what it has.
    stated = weights is not None and min(weights) > 0
    ratio = weights[1] / weights[0] if weights and stated else len(theirs) / len(ours)
    matched = matched_differences(ours, theirs, ratio)
    spread = spread_of_larger(ours, theirs, ratio)
    return _Met(ours, theirs, left_out, matched, len(ours) + len(theirs), spread)


def _by_metric(metric: LiveMetric, goal: Goal, met: _Met, alpha: float) -> Comparison:
    bounds = goal.bounds or metric.bounds
    why = sentences.why_not(metric.name, met.ours, met.theirs, len(met.differences), bounds)
    if why is not None:
        return Comparison(metric.name, "no_data", None, None, None, goal.delta, met.observations, None, why)
    largest = bounds[1] - bounds[0] if bounds else None
    moments = Moments.of(met.differences)
    interval = sequence(moments, alpha, largest, met.least_variance)
    outcome = cast("Outcome", str(decide(metric, goal, interval)))
    more = None
    if outcome == "keep_going" and len(met.differences) >= _LEAST_TO_FORESEE:
        foreseen = sequence(moments.times(_MORE), alpha, largest, met.least_variance)
        decided = decide(metric, goal, foreseen) != "keep_going"
        if decided.any():
            more = _roughly((_MORE[decided.argmax()] - 1) * met.observations)
    known = bool(np.isfinite(interval.low))
    found = Comparison(
        metric.name,
        outcome,
        float(moments.mean),
        float(interval.low) if known else None,
        float(interval.high) if known else None,
        goal.delta,
        met.observations,
        more,
        "",
    )
    said = sentences.of_one(found, metric, len(met.differences), met.left_out, paired=met.paired)
    return replace(found, said=said)


def decide(metric: LiveMetric, goal: Goal, interval: Interval) -> npt.NDArray[np.str_]:
    """Return the outcome at each look. A difference that is sure and does not matter is none."""
    above, below = ("better", "worse") if metric.higher_is_better else ("worse", "better")
    slight = (interval.low > -goal.delta) & (interval.high < goal.delta)
    says = [slight, interval.low > 0, interval.high < 0]
    return np.select(says, ["no_difference", above, below], "keep_going")


def _roughly(count: float) -> int:
    """Round to two digits, upwards: it is an estimate."""
    digit: int = 10 ** max(math.floor(math.log10(max(count, 1))) - 1, 0)
    return math.ceil(count / digit) * digit


def _set_aside(found: Comparison) -> Comparison:
    said = f"{found.metric}: not judged, because traffic is not shared as it should be"
    return replace(found, outcome="mismatch", more=None, said=said)
