"""Conclusions that hold at every look: confidence sequences, and a test of shares. Pure.

An interval for a fixed number of rows holds if it is looked at once; looked at every minute until it pleases,
it is wrong far more often than it says. These hold at all looks at once, so that one may stop at any of them.
"""

from evidence.sequential.intervals import Interval, sequence
from evidence.sequential.matching import matched_differences, spread_of_larger
from evidence.sequential.moments import Moments
from evidence.sequential.ratio import RatioFinding, sample_ratio

__all__ = [
    "Interval",
    "Moments",
    "RatioFinding",
    "matched_differences",
    "sample_ratio",
    "sequence",
    "spread_of_larger",
]
