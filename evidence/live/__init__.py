"""Versions compared on live traffic: which is better, and how sure that is at any look. Pure."""

from evidence.live.comparison import Comparison, Goal, LiveVerdict, compare, decide
from evidence.live.metrics import LIVE_METRICS, LiveMetric, mean_by_unit

__all__ = [
    "LIVE_METRICS",
    "Comparison",
    "Goal",
    "LiveMetric",
    "LiveVerdict",
    "compare",
    "decide",
    "mean_by_unit",
]
