"""A confidence sequence for the mean of values between -1 and 1, exact at every number of them.

Test by betting (Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSS B
2024): against the claim that the mean is m, a gambler stakes a share of the capital on each value; if the
claim is true, the odds are fair, and no strategy ever multiplies its capital by 1/alpha with a chance above
alpha (Ville, 1939). The means against which the capital has grown by less are the confidence sequence.

Here the capital is spread once over constant stakes, and each part grows on its own: a
mixture, as Cover's universal portfolio (1991), of which Orabona and Jun, "Tight concentrations and confidence
sequences from the regret of universal portfolio" (2024), show how tight it is. So the order of the values
plays no part.

A part's capital is a product over all values. It is bounded from below by four moments: with stake g and
u >= -1, log(1 + g u) - (g u - g²u²/2 + g³u³/3), divided by u⁴, increases in u, so at u = -1 it is least. With
two terms this is Lemma 4.1 of Fan, Grama and Liu, "Exponential inequalities for martingales" (2015). What is
claimed by less than the true capital is claimed by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from evidence.sequential.moments import Moments
    from evidence.statistic import Floats

# Shares of the capital. The best is about (mean - m) / variance; within a third of it, little is lost. The
# smallest decides how narrow the sequence can get: to half of it times the variance.
STAKES = np.geomspace(0.0003, 0.95, 18)
_LEAST_TERM = np.where(
    STAKES < 0.1,  # noqa: PLR2004  # Of smaller stakes the difference below cancels; this is a bound of it.
    -(STAKES**4) / (4 * (1 - STAKES)),
    np.log1p(-STAKES) + STAKES + STAKES**2 / 2 + STAKES**3 / 3,
)
# The nearest claim that is tried, and how often the distance is halved, on a log scale: to a ten-thousandth.
_NEAREST = 1e-8
_HALVINGS = 18


def log_capital(moments: Moments, claimed: Floats) -> Floats:
    """Return the log of what a capital of 1, staked on values above `claimed`, has grown to at least.

    Fair or worse, should the mean be `claimed`, in (-1, 1), or less.
    """
    # Measured by the most that one value can lose: what lies between the claim and the end of the range.
    most = 1 + claimed
    u1, u2, u3, u4 = (power / most**n for n, power in enumerate(moments.about(claimed), 1))
    grown = np.empty((len(STAKES), *np.shape(u1)))
    for part, (stake, least) in enumerate(zip(STAKES, _LEAST_TERM, strict=True)):
        grown[part] = stake * (u1 - stake * (u2 / 2 - stake * u3 / 3)) + least * u4
    grown *= moments.count
    highest = grown.max(axis=0)
    grown -= highest
    return np.asarray(highest + np.log(np.exp(grown, out=grown).mean(axis=0)))


def bounds(moments: Moments, alpha: float) -> tuple[Floats, Floats]:
    """Return the ends of the sequence, of the shape of the moments, for values between -1 and 1.

    Each end holds with half of alpha.
    """
    return _low(moments, alpha / 2), -_low(moments.divided(-1), alpha / 2)


def _low(moments: Moments, alpha: float) -> Floats:
    """Find the highest claim below the mean that is refused; all below it are refused too.

    For the capital is convex in the claim, being a mixture of products of positive, convex functions of it
    that all increase or all decrease, and at the mean itself it is at most 1.
    """
    room = 1 + moments.mean
    near, far = np.minimum(_NEAREST, room), room
    for _ in range(_HALVINGS):
        middle = np.sqrt(near * far)
        # Where there is no room, 0 / 0 refuses nothing.
        with np.errstate(divide="ignore", invalid="ignore"):
            refused = log_capital(moments, moments.mean - middle) >= np.log(1 / alpha)
        near, far = np.where(refused, near, middle), np.where(refused, middle, far)
    return moments.mean - far
