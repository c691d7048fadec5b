"""Slack: how far beyond what was seen a number may lie, in round numbers. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# Below this, ten to the power of the digits is not a number any more.
_LEAST_SLACK = 1e-300


def widened(low: float, high: float, *, keep_sign: bool) -> dict[str, float]:
    """Return bounds half the span (or the value itself) away from both ends, in round numbers.

    With `keep_sign`, what was never negative may not become so, nor what was never positive. Empty where
    the bounds are beyond the numbers there are.
    """
    slack = (high - low or abs(high) or 1.0) / 2
    if not math.isfinite(slack + abs(low) + abs(high)) or slack < _LEAST_SLACK:
        return {}
    digits = -math.floor(math.log10(slack))
    least = _round(low - slack, digits, math.floor)
    most = _round(high + slack, digits, math.ceil)
    if keep_sign:
        least = max(least, 0) if low >= 0 else least
        most = min(most, 0) if high <= 0 else most
    return {"min_value": least, "max_value": most}


def _round(value: float, digits: int, towards: Callable[[float], int]) -> float:
    # As decimal text: n * 0.1 would give 0.30000000000000004.
    rounded = float(f"{towards(value * 10.0**digits)}e{-digits}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 2**53 else rounded
