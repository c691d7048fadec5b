"""What live comparisons say of simulated traffic whose truth is known, looked at after every 100 outcomes.

Beside them, on the same outcomes, what one would use instead: the t-test on a sample whose size was fixed
before, looked at once; and the same test looked at every time, until it says something.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chdtri, stdtrit

from benchmarks.verdicts_worlds import LEVEL, WORLDS, truth
from evidence import LIVE_METRICS, Goal
from evidence.live import decide
from evidence.sequential import Moments, matched_differences, sequence
from evidence.sequential.ratio import ALPHA as RATIO_ALPHA
from evidence.sequential.ratio import log_evidence

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from benchmarks.verdicts_worlds import World

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Words = npt.NDArray[np.str_]

EVERY = 100
MOST_FALSE, LEAST_DECIDED, WITHIN = LEVEL, 0.8, 3

_SEED = 2013
_RATIO_LOOKS = 1000
_BATCH = 20


@dataclass(frozen=True)
class Way:
    """One way to decide: shares of the experiments, and outcomes until it decided, over the fixed sample.

    `false`: between equal versions a difference was found. Of changed versions: `wrong` found it in the wrong
    direction; `decided`, in the right one, by so many times the fixed sample. Half of all experiments decided
    by `half_by`, 80 % by `most_by`; None: not within what was simulated.
    """

    false: float
    wrong: float
    decided: dict[str, float]
    half_by: float | None
    most_by: float | None


@dataclass(frozen=True)
class Figures:
    """What the ways say in one world; `no_difference`: how often equal versions were called so by ours."""

    world: str
    metric: str
    effect: float
    fixed: int
    experiments: int
    looks: int
    no_difference: float
    ours: Way
    t_test: Way
    peeking: Way

    @property
    def is_held(self) -> bool:
        """Whether what the issue of live comparisons asks for is true."""
        return self.ours.false <= MOST_FALSE and self.ours.decided[str(WITHIN)] >= LEAST_DECIDED


@dataclass(frozen=True)
class RatioFigures:
    """The test of shares: false alarms at all looks, and outcomes until a wrong share was found."""

    experiments: int
    outcomes: int
    alpha: float
    false: float
    chi_square_peeking_false: float
    found: float
    half_by: int | None

    @property
    def is_held(self) -> bool:
        """Whether false alarms are as rare as they should be."""
        return self.false <= self.alpha


def run(world: World, experiments: int, notify: Callable[[str], None] = lambda _: None) -> Figures:
    """Simulate experiments between equal versions, and as many between changed ones."""
    true = truth(world)
    looks = np.arange(EVERY, WITHIN * true.fixed + 1, EVERY)
    higher = LIVE_METRICS[world.metric].higher_is_better
    words, peeked = [], []
    for changed in (False, True):
        random = np.random.default_rng([_SEED, WORLDS.index(world), changed])
        found = []
        for _ in range(experiments):
            found.append(_experiment(random, world, looks, changed=changed))
            notify(world.name)
        words.append(_say(world, found, abs(true.effect)))
        t = np.stack([seen.t for seen in found])
        surely = np.abs(t) > stdtrit(looks - 2.0, 1 - LEVEL / 2)
        peeked.append(np.where(surely, np.where((t > 0) == higher, "better", "worse"), "keep_going"))
    once = [np.where(looks == true.fixed, word, "keep_going") for word in peeked]
    right = "better" if (true.effect > 0) == higher else "worse"
    return Figures(
        world.name,
        world.metric,
        true.effect,
        true.fixed,
        experiments,
        len(looks),
        float((words[0] == "no_difference").any(axis=1).mean()),
        *(_way(equal, changed, right, looks / true.fixed) for equal, changed in (words, once, peeked)),
    )


@dataclass(frozen=True)
class _Seen:
    """One experiment at each look: what a comparison makes of it, and the t statistic."""

    differences: Moments
    least_variance: Floats
    t: Floats


def _experiment(random: np.random.Generator, world: World, looks: Ints, *, changed: bool) -> _Seen:
    ours, theirs = world.draw(random, int(looks[-1]), changed)
    if world.share is None:
        found = Moments.of(ours - theirs, looks)
        return _Seen(found, np.zeros(len(looks)), _divided(found.mean, found.second / (looks - 1)))
    is_ours = random.random(len(ours)) < world.share
    ours, theirs, count = ours[is_ours], theirs[~is_ours], np.cumsum(is_ours)[looks - 1]
    of_one = round((1 - world.share) / world.share)
    # An arm that has nothing yet is looked at from its first outcome on.
    pairs, of_ours, of_theirs = (
        np.maximum(n, 1) for n in (np.minimum(count, (looks - count) // of_one), count, looks - count)
    )
    arms = Moments.of(ours, of_ours), Moments.of(theirs, of_theirs)
    variance = sum((arm.second / np.maximum(arm.count - 1, 1) for arm in arms), np.zeros(len(looks)))
    found = Moments.of(matched_differences(ours, theirs, of_one), pairs)
    # As `spread_of_larger` says of the outcomes of each look.
    spread = arms[1].second * (1 + 1 / of_one)
    return _Seen(found, spread, _divided(arms[0].mean - arms[1].mean, variance))


def _divided(difference: Floats, variance: Floats) -> Floats:
    """Return t; 0 where all outcomes are equal, of which a t-test says nothing."""
    error = np.sqrt(np.maximum(variance, 0))
    return np.divide(difference, error, out=np.zeros(len(error)), where=error > 0)


def _say(world: World, experiments: Sequence[_Seen], delta: float) -> Words:
    """Return what is said in each experiment at each look, (experiments, looks)."""
    metric = LIVE_METRICS[world.metric]
    bounds = world.bounds or metric.bounds
    largest = bounds[1] - bounds[0] if bounds else None
    goal = Goal(delta, world.bounds)
    # In batches that stay in the processor's cache.
    words = []
    for start in range(0, len(experiments), _BATCH):
        batch = experiments[start : start + _BATCH]
        spread = np.stack([seen.least_variance for seen in batch])
        interval = sequence(_stacked([seen.differences for seen in batch]), LEVEL, largest, spread)
        words.append(decide(metric, goal, interval))
    return np.concatenate(words)


def _stacked(moments: Sequence[Moments]) -> Moments:
    return Moments(*(np.stack([getattr(found, part.name) for found in moments]) for part in fields(Moments)))


def _way(equal: Words, changed: Words, right: str, time: Floats) -> Way:
    """Sum up what one way said of equal and of changed versions."""
    wrong = "worse" if right == "better" else "better"
    first = np.where((changed == right).any(axis=1), time[(changed == right).argmax(axis=1)], np.inf)
    half_by, most_by = (float(at) for at in np.quantile(first, [0.5, LEAST_DECIDED], method="higher"))
    return Way(
        false=float(np.isin(equal, ("better", "worse")).any(axis=1).mean()),
        wrong=float((changed == wrong).any(axis=1).mean()),
        decided={str(times): float((first <= times).mean()) for times in range(1, WITHIN + 1)},
        half_by=half_by if np.isfinite(half_by) else None,
        most_by=most_by if np.isfinite(most_by) else None,
    )


def run_ratio(experiments: int, notify: Callable[[str], None] = lambda _: None) -> RatioFigures:
    """Simulate arms that get what they should, 90 to 10, and arms that get 91 to 9."""
    random = np.random.default_rng([_SEED, len(WORLDS)])
    shares = np.array([0.9, 0.1])
    looks = np.arange(1, _RATIO_LOOKS + 1) * EVERY
    chi_square_most = chdtri(1, RATIO_ALPHA)
    alarms, naive, found = [], [], []
    for _ in range(experiments):
        fine, off = (_counts(random, share, looks) for share in (0.1, 0.09))
        alarms.append((log_evidence(fine, shares) > -np.log(RATIO_ALPHA)).any())
        expected = looks[:, None] * shares
        naive.append((((fine - expected) ** 2 / expected).sum(axis=1) > chi_square_most).any())
        caught = log_evidence(off, shares) > -np.log(RATIO_ALPHA)
        found.append(float(looks[caught.argmax()]) if caught.any() else np.inf)
        notify("sample ratio")
    half_by = float(np.quantile(found, 0.5, method="higher"))
    return RatioFigures(
        experiments,
        int(looks[-1]),
        RATIO_ALPHA,
        float(np.mean(alarms)),
        float(np.mean(naive)),
        float(np.isfinite(found).mean()),
        int(half_by) if np.isfinite(half_by) else None,
    )


def _counts(random: np.random.Generator, share: float, looks: Ints) -> Floats:
    ours = np.cumsum(random.binomial(EVERY, share, len(looks)))
    return np.stack([looks - ours, ours], axis=1).astype(np.float64)
