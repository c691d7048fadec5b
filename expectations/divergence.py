"""Divergence: how far the values of a column are from the distribution that a suite expects. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt


def bin_counts(numbers: npt.NDArray[Any], bins: Sequence[float]) -> dict[int, int]:
    """Count numbers, none missing, by bin: from 0, with -1 for those below the first; no zeros.

    A bin has its lower edge, and the last its upper one, too.
    """
    within = np.histogram(numbers, bins)[0]
    found = [np.count_nonzero(numbers < bins[0]), *within, np.count_nonzero(numbers > bins[-1])]
    return {number: int(count) for number, count in enumerate(found, -1) if count}


def divergence(counts: Mapping[Any, int], kwargs: Mapping[str, Any]) -> float:
    """Return the Kullback-Leibler divergence (nats) of what was seen from what was expected.

    `kwargs` are those of `expect_column_kl_divergence_to_be_less_than`; of a `partition_object` with bins,
    `counts` are as `bin_counts` gives them. `tail_weight_holdout` is shared out to both ends, or to the
    values that were not expected, as Great Expectations does. NaN where nothing was seen, infinite where a
    value was seen and has no weight.
    """
    partition, holdout = kwargs["partition_object"], kwargs.get("tail_weight_holdout", 0)
    if "bins" in partition:
        tails = partition.get("tail_weights", [holdout / 2, holdout / 2])
        within = (weight * (1 - holdout) for weight in partition["weights"])
        expected: dict[Any, float] = dict(enumerate([tails[0], *within, tails[1]], -1))
    else:
        expected = dict(zip(partition["values"], partition["weights"], strict=True))
    strange = [value for value in counts if value not in expected]
    if strange:
        expected = {value: weight * (1 - holdout) for value, weight in expected.items()}
        expected |= dict.fromkeys(strange, holdout / len(strange))
    seen, weights = sum(counts.values()), sum(expected.values())
    if not seen or not weights:
        return math.nan
    shares = [(count / seen, expected[value] / weights) for value, count in counts.items()]
    if any(not weight for _, weight in shares):
        return math.inf
    return math.fsum(share * math.log(share / weight) for share, weight in shares)
