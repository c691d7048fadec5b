"""Whether the arms got the share of traffic that they should: the first question to any comparison.

Lindon and Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022: what shares drawn from a
Dirichlet distribution around the weights say of the counts, relative to what the weights say, is a martingale
while the weights are true. It exceeds 1/alpha at any look, ever, with a chance of at most alpha.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammaln

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evidence.statistic import Floats

# A mismatch makes every comparison worthless, and a false alarm stops a good one: it should be rare.
ALPHA = 0.001
# As many imagined outcomes lie behind the weights: few find a gross mismatch soon, many a slight one at all.
_CONCENTRATIONS = (10.0, 1000.0)


@dataclass(frozen=True)
class RatioFinding:
    """Counts and expected shares by arm. `p_value` is valid at every look; a mismatch is below `alpha`."""

    counts: Mapping[str, int]
    shares: Mapping[str, float]
    p_value: float
    alpha: float
    said: str

    @property
    def is_mismatch(self) -> bool:
        """Whether no comparison of these arms means anything."""
        return self.p_value < self.alpha


def sample_ratio(
    counts: Mapping[str, int], weights: Mapping[str, float], alpha: float = ALPHA
) -> RatioFinding:
    """Hold how many each arm got against the weights, of any sum, that applied all along.

    Count what was assigned at random: entities where they stick to an arm, not their requests. Raises
    `ValueError` where counts or weights cannot be, or an arm has only one of the two.
    """
    if counts.keys() != weights.keys():
        odd = min(counts.keys() ^ weights.keys())
        raise ValueError(f"arm {odd!r} has a count or a weight, expected both of each arm")
    if any(count < 0 for count in counts.values()):
        raise ValueError(f"found the counts {dict(counts)}, expected none below 0")
    total = math.fsum(weights.values())
    if any(not weight >= 0 for weight in weights.values()) or not 0 < total < math.inf:
        raise ValueError(f"found the weights {dict(weights)}, expected none below 0 and one above")
    shares = {arm: weight / total for arm, weight in weights.items()}
    uninvited = [arm for arm, share in shares.items() if not share and counts[arm]]
    arms = [arm for arm, share in shares.items() if share]
    found = np.array([[counts[arm] for arm in arms]], np.float64)
    evidence = (
        math.inf if uninvited else float(log_evidence(found, np.array([shares[arm] for arm in arms]))[0])
    )
    p_value = math.exp(-max(evidence, 0.0))
    return RatioFinding(dict(counts), shares, p_value, alpha, _said(counts, shares, p_value, alpha))


def log_evidence(counts: Floats, shares: Floats) -> Floats:
    """Return the log of the martingale at each look; counts (looks, arms), shares (arms,) that sum to 1."""
    total = counts.sum(axis=-1)
    parts = [
        gammaln(c) - gammaln(c + total) + (gammaln(c * shares + counts) - gammaln(c * shares)).sum(axis=-1)
        for c in _CONCENTRATIONS
    ]
    mixed = np.logaddexp.reduce(parts, axis=0) - np.log(len(parts))
    return np.asarray(mixed - counts @ np.log(shares))


def _said(counts: Mapping[str, int], shares: Mapping[str, float], p_value: float, alpha: float) -> str:
    total = sum(counts.values())
    if not total:
        return "no traffic yet, so nothing is known of how it is shared"
    got = ", ".join(f"{arm} {counts[arm] / total:.2%} ({shares[arm]:.2%} expected)" for arm in counts)
    if p_value < alpha:
        chance = f"p {p_value:.2g}" if p_value else "it should have had none"
        return (
            f"sample ratio mismatch ({chance}): of {total:,}, {got}; those missing from an arm may be"
            " just those that decide, so compare nothing before the cause is found"
        )
    return f"traffic is shared as it should be, as far as {total:,} tell: {got}"
