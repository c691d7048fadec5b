"""What is said of a live comparison: one sentence each, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evidence.live.metrics import LIVE_METRICS
from evidence.sequential.asymptotic import LEAST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evidence.live.comparison import Comparison, Goal
    from evidence.live.metrics import LiveMetric
    from evidence.sequential import RatioFinding
    from evidence.statistic import Floats


def of_all(
    ratio: RatioFinding | None, goals: Mapping[str, Goal], alpha: float, *, paired: bool
) -> tuple[str, ...]:
    """Say how the arms were compared."""
    shared = f", {alpha / len(goals):.3g} for each of {len(goals)} metrics" if len(goals) > 1 else ""
    unbounded = [name for name, goal in goals.items() if not (goal.bounds or LIVE_METRICS[name].bounds)]
    nearly = (
        f"; of {', '.join(unbounded)} that is nearly so, as values have no known bounds" if unbounded else ""
    )
    made = (
        "both versions answered the same requests, and are compared request by request"
        if paired
        else "each version answered requests of its own"
    )
    return (
        *([ratio.said] if ratio else []),
        made,
        f"the chance that any interval is ever wrong, at any look, is {alpha:.3g}{shared}{nearly}",
    )


def why_not(
    metric: str, ours: Floats, theirs: Floats, differences: int, bounds: tuple[float, float] | None
) -> str | None:
    """Say why two arms cannot be compared; None if they can."""
    without = [who for who, values in (("challenger", ours), ("champion", theirs)) if not len(values)]
    if without:
        return f"{metric}: no outcomes of the {' and the '.join(without)} yet"
    for who, values in (("challenger", ours), ("champion", theirs)):
        if bounds and not (bounds[0] <= values.min() and values.max() <= bounds[1]):
            odd = values[(values < bounds[0]) | (values > bounds[1])]
            return (
                f"{metric}: {len(odd)} of {len(values)} values of the {who} are not between {bounds[0]:g} and"
                f" {bounds[1]:g}, as {odd[0]:g}; set `bounds` that all values keep to"
            )
    if not differences:
        found = f"{len(ours)} of the challenger and {len(theirs)} of the champion"
        return f"{metric}: too few outcomes to hold one arm against the other: {found}"
    return None


def of_one(found: Comparison, metric: LiveMetric, differences: int, left_out: int, *, paired: bool) -> str:
    """Say what was found of one metric."""
    less = f"; {left_out:,} without a value are left out" if left_out else ""
    after = f"after {found.observations:,} {'pairs' if paired else 'outcomes'}"
    return f"{found.metric}: {_found(found, metric, differences, after)}{less}"


def _found(found: Comparison, metric: LiveMetric, differences: int, after: str) -> str:
    if found.low is None or found.high is None or found.difference is None:
        if differences < LEAST:
            return f"keep going; {LEAST} differences are needed before anything is said, found {differences}"
        return f"keep going; all {differences:,} differences are equal, which says nothing of others"
    unit = metric.unit
    value = f"{found.difference:+.3g}{unit} ({found.low:+.3g} to {found.high:+.3g}) {after}"
    if found.outcome == "no_difference":
        return f"no difference larger than {found.delta:g}{unit}: {value}"
    if found.outcome != "keep_going":
        return f"the challenger is {found.outcome}: {value}"
    if found.more is None:
        return f"keep going; nobody can say for how long: {value}"
    return f"keep going, for about {found.more:,} more: {value}"
