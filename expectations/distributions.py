"""Distributions: from samples to an expectation that numbers lie as they lay, and warns of a shift. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from expectations.divergence import bin_counts, divergence

if TYPE_CHECKING:
    from expectations.facts import ColumnFacts, TableFacts
    from expectations.sampling import Sample

# Fewer rows have no tenths to speak of.
_LEAST_ROWS = 500
_TENTHS = [n / 10 for n in range(1, 10)]
_DIGITS = 4
# What was not seen is rare, not impossible; without a weight it would be infinitely far.
_LEAST_WEIGHT = 0.001
# Of two normal distributions, with means 0.45 of their deviation apart.
_NOTABLE = 0.1
# Batches so far from all of them have no common distribution, as the number of the day in a month.
_NO_COMMON = 0.5


def expect_distribution(column: ColumnFacts, facts: TableFacts) -> dict[str, Any] | None:
    """Draft an expectation on the tenths of a column of numbers; None where they say nothing.

    Its threshold is twice the divergence of the batch that is farthest from all, and at least notable.
    """
    sample = column.sample
    counts_up = column.whole and column.is_unique
    if sample is None or column.values is not None or column.present < _LEAST_ROWS or counts_up:
        return None
    partition = _partition(sample)
    if partition is None:
        return None
    of_batches = (batch.samples[column.name] for batch in facts.batches if column.name in batch.samples)
    worst = max(_divergence(each, partition) for each in of_batches if len(each.values))
    if worst > _NO_COMMON:
        return None
    threshold = max(_NOTABLE, math.ceil(worst * 2 * 100) / 100)
    among = f"{worst:.2f} in the batch farthest from all seen" if len(facts.batches) > 1 else "one batch seen"
    return {
        "type": "expect_column_kl_divergence_to_be_less_than",
        "kwargs": {"column": column.name, "partition_object": partition, "threshold": threshold},
        "severity": "warning",
        "description": f"Drift from the tenths of what was seen; {among}.",
    }


def _partition(sample: Sample) -> dict[str, list[float]] | None:
    edges = sorted({float(f"{edge:.{_DIGITS}g}") for edge in np.quantile(sample.values, _TENTHS)})
    if len(edges) == 1:
        return None
    counts = bin_counts(sample.values, edges)
    shares = np.array([counts.get(number, 0) for number in range(-1, len(edges))]) / len(sample.values)
    weights = [round(float(w), _DIGITS) for w in np.maximum(shares, _LEAST_WEIGHT)]
    # Rounded, and still one in all.
    largest = weights.index(max(weights))
    weights[largest] = round(weights[largest] + 1 - math.fsum(weights), _DIGITS)
    return {"bins": edges, "weights": weights[1:-1], "tail_weights": [weights[0], weights[-1]]}


def _divergence(sample: Sample, partition: dict[str, list[float]]) -> float:
    return divergence(bin_counts(sample.values, partition["bins"]), {"partition_object": partition})
