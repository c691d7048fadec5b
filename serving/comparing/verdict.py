"""From rows with outcomes to what may be said of a challenger. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from evidence import sample_ratio
from evidence.live import LIVE_METRICS, Goal, compare, mean_by_unit
from serving.comparing.errors import NothingToCompareError
from serving.routing.declaration import CHAMPION, Comparing

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from evidence import RatioFinding
    from evidence.live import LiveVerdict
    from serving.comparing.rows import Rows
    from serving.routing.declaration import Challenger, Routes

# Where a routes file does not say how to compare.
_DEFAULT = Comparing(0.05, {"brier": 0.0, "log_loss": 0.0, "error_rate": 0.0, "latency_ms": 0.0})
_LABELLED = {"brier", "log_loss"}


@dataclass(frozen=True)
class Version:
    """A version as it answered."""

    version: int
    digest: str


@dataclass(frozen=True)
class Report:
    """What a comparison found: of whom, by which answers, and what may be said."""

    model: str
    arm: str
    mode: str
    champion: Version
    challenger: Version
    since: str
    until: str
    verdict: LiveVerdict
    said: tuple[str, ...]
    counts: Mapping[str, int] = field(default_factory=dict)


def judge(rows: Rows, routes: Routes, arm: str, counts: Mapping[str, int]) -> Report:
    """Compare an arm with the champion, both as they are now, since the later of the two first answered.

    Raises `NothingToCompareError` where one of them has not answered.
    """
    theirs, ours = _newest(rows, rows.arms == CHAMPION, CHAMPION), _newest(rows, rows.arms == arm, arm)
    since = max(rows.answered_at[theirs].min(), rows.answered_at[ours].min())
    theirs, ours = theirs & (rows.answered_at >= since), ours & (rows.answered_at >= since)
    for name, mask in ((CHAMPION, theirs), (arm, ours)):
        if not mask.any():
            raise NothingToCompareError(
                f"The arm {name!r} has no answers since {_spelled(since)}, when the other one began; expected"
                " some of both from then on"
            )
    mode = str(rows.modes[ours][-1])
    found = {
        **counts,
        "champion_rows": int(theirs.sum()),
        "challenger_rows": int(ours.sum()),
        "without_entity": int((~rows.has_entity & rows.first & (theirs | ours)).sum()),
    }
    said = [_unit_said(rows, theirs | ours)]
    if mode == "shadow":
        champion, challenger, found["unpaired"] = _pairs(rows, theirs, ours)
        ratio = None
        said.append("each answer of the shadow is compared with the champion's to the same row")
    else:
        champion, challenger, found["moved_rows"] = _apart(rows, theirs, ours)
        ratio, about = _ratio(champion, challenger, routes, arm)
        said += about
        if found["moved_rows"]:
            said.append(
                f"{found['moved_rows']:,} rows are left out: their entities were answered by both arms"
            )
    found["never"] = int(np.isnan(champion.outcomes).sum() + np.isnan(challenger.outcomes).sum())
    comparing = routes.compare or _DEFAULT
    values = _values(champion, challenger, comparing, paired=mode == "shadow")
    verdict = compare(
        values[1],
        values[0],
        {name: Goal(delta) for name, delta in comparing.deltas.items()},
        paired=mode == "shadow",
        ratio=ratio,
        weights=_weights(routes, arm),
        alpha=comparing.alpha,
    )
    return Report(
        model=routes.model,
        arm=arm,
        mode=mode,
        champion=_version(champion),
        challenger=_version(challenger),
        since=_spelled(since),
        until=_spelled(max(rows.answered_at[theirs].max(), rows.answered_at[ours].max())),
        verdict=verdict,
        said=(*said, *verdict.said),
        counts=found,
    )


def choose_arm(routes: Routes, wanted: str | None) -> str:
    """Return which arm to compare: the one that is wanted, or the only one there is."""
    arms = [challenger.arm for challenger in routes.challengers]
    if wanted is not None:
        return wanted
    if len(arms) != 1:
        found = f"{len(arms)} challengers ({', '.join(arms)})" if arms else "no challenger"
        raise NothingToCompareError(
            f"The routes of {routes.model} have {found}, expected one; say which with --challenger ARM"
        )
    return arms[0]


def _newest(rows: Rows, mask: npt.NDArray[np.bool_], arm: str) -> npt.NDArray[np.bool_]:
    """Return where the version answered that answered last in an arm."""
    if not mask.any():
        raise NothingToCompareError(
            f"The arm {arm!r} has no answers in the period; expected some of champion and challenger"
        )
    return np.asarray(mask & (rows.digests == rows.digests[mask][-1]), np.bool_)


def _apart(rows: Rows, theirs: npt.NDArray[np.bool_], ours: npt.NDArray[np.bool_]) -> tuple[Rows, Rows, int]:
    """Return the rows of both arms; those of units that both have answered are left out, and counted."""
    # By hash: `np.isin` compares each text with each other.
    both = set(rows.units[theirs].tolist()) & set(rows.units[ours].tolist())
    moved = np.fromiter((unit in both for unit in rows.units.tolist()), np.bool_, len(rows))
    left_out = int((moved & (theirs | ours)).sum())
    return rows.where(theirs & ~moved), rows.where(ours & ~moved), left_out


def _pairs(rows: Rows, theirs: npt.NDArray[np.bool_], ours: npt.NDArray[np.bool_]) -> tuple[Rows, Rows, int]:
    """Return what both answered to the same rows, in one order; and how many rows only the shadow has."""
    champion, shadow = rows.where(theirs), rows.where(ours)
    _, at, of = np.intersect1d(champion.keys, shadow.keys, return_indices=True)
    order = np.argsort(at)
    return champion.where(at[order]), shadow.where(of[order]), len(shadow) - len(at)


def _values(
    champion: Rows, challenger: Rows, comparing: Comparing, *, paired: bool
) -> tuple[dict[str, npt.NDArray[np.float64]], dict[str, npt.NDArray[np.float64]]]:
    """Return the values of each metric by unit, of champion and challenger."""
    found: tuple[dict[str, npt.NDArray[np.float64]], ...] = ({}, {})
    for name in comparing.deltas:
        values = [_by_row(rows, name) for rows in (champion, challenger)]
        if paired:
            # A row that one of them has no value for is no pair, and must not be in the mean of the other.
            missing = np.isnan(values[0]) | np.isnan(values[1])
            values = [np.where(missing, np.nan, each) for each in values]
        for arm, rows, each in zip(found, (champion, challenger), values, strict=True):
            arm[name] = mean_by_unit(rows.units, each) if len(rows) else each
    return found[0], found[1]


def _by_row(rows: Rows, name: str) -> npt.NDArray[np.float64]:
    """Return a metric's value of each row; NaN where it has none, and in all but one row of an answer."""
    if name == "error_rate":
        return np.where(rows.first, rows.failed.astype(np.float64), np.nan)
    if name == "latency_ms":
        return np.where(rows.first & ~rows.failed, rows.latencies_ms, np.nan)
    of = LIVE_METRICS[name].of
    if of is None:
        return rows.outcomes
    labels = rows.outcomes
    if name in _LABELLED:
        labels = np.where(np.isin(labels, (0.0, 1.0)), labels, np.nan)
    known = np.isfinite(labels) & np.isfinite(rows.predictions)
    values = np.full(len(rows), np.nan)
    values[known] = of(labels[known], rows.predictions[known])
    return values


def _ratio(
    champion: Rows, challenger: Rows, routes: Routes, arm: str
) -> tuple[RatioFinding | None, list[str]]:
    weights = _weights(routes, arm)
    if weights is None:
        return None, ["how traffic is shared is not judged: the share of this arm is not one fixed weight"]
    counts = {
        CHAMPION: len(np.unique(champion.units)),
        arm: len(np.unique(challenger.units)),
    }
    ratio = sample_ratio(counts, {CHAMPION: weights[1], arm: weights[0]})
    if not ratio.is_mismatch:
        return ratio, []
    return ratio, ["if weights were changed within the period, compare again with --since the change"]


def _weights(routes: Routes, arm: str) -> tuple[float, float] | None:
    """Return the weights of challenger and champion, None where they are not fixed."""
    challenger: Challenger | None = routes.challenger(arm)
    moving = any(each.mode == "canary" for each in routes.challengers)
    if challenger is None or challenger.mode != "ab" or moving or min(_of(routes, challenger)) <= 0:
        return None
    return _of(routes, challenger)


def _of(routes: Routes, challenger: Challenger) -> tuple[float, float]:
    return challenger.weight, routes.champion_weight


def _unit_said(rows: Rows, mask: npt.NDArray[np.bool_]) -> str:
    known = rows.has_entity[mask]
    if known.all():
        return "the unit of analysis is the entity, by its mean: requests of one entity are alike"
    if not known.any():
        return "the unit of analysis is the request: none names an entity"
    return (
        f"the unit of analysis is the entity, by its mean; {1 - known.mean():.0%} of the rows name none, and"
        " their requests stand for themselves"
    )


def _version(rows: Rows) -> Version:
    if not len(rows):
        raise NothingToCompareError(
            "No row is left to compare: expected rows that both answered (a shadow), or entities that were"
            " answered by one arm only"
        )
    return Version(int(rows.versions[-1]), str(rows.digests[-1]))


def _spelled(moment: np.datetime64) -> str:
    return f"{np.datetime_as_string(moment, unit='s')}Z"
