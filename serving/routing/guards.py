"""When a canary is to be stopped: its answers beside the champion's, held against declared bounds. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serving.routing.declaration import Guards

# From so many answers on, ten of them lie beyond the 99th percentile, and it says something.
_TAIL_FROM = 1000


@dataclass(frozen=True)
class Watched:
    """What an arm answered since its ramp step began (`since`, epoch seconds), while the champion did beside.

    `digest` is that of the arm's artifact; `psi` is of its predictions against the champion's of the same
    time. None: not known. `breach` is why the arm is to be stopped.
    """

    digest: str
    since: float
    exposures: int = 0
    errors: int = 0
    p50_ms: float | None = None
    p99_ms: float | None = None
    psi: float | None = None
    breach: str | None = None


def breach(guards: Guards, arm: Watched, champion: Watched) -> str | None:
    """Return why an arm is to be stopped, in one sentence; None where nothing speaks against it.

    Errors stop it as soon as there are too many for `at_least` answers, however few it has given yet.
    """
    return (
        _errors(guards, arm)
        or _latency(guards, arm, champion)
        or _distribution(guards, arm, champion)
        or None
    )


def has_enough(guards: Guards, arm: Watched) -> bool:
    """Whether a ramp step has seen as many answers as its guards need to judge it."""
    return arm.exposures >= guards.at_least


def _errors(guards: Guards, arm: Watched) -> str:
    bound = guards.error_share_at_most
    if bound is None or arm.errors <= bound * max(arm.exposures, guards.at_least):
        return ""
    return f"{arm.errors} of {arm.exposures} answers are errors, expected a share of at most {bound:g}"


def _latency(guards: Guards, arm: Watched, champion: Watched) -> str:
    bound, least = guards.latency_ratio_at_most, guards.at_least
    if bound is None:
        return ""
    looked_at = (
        ("median", arm.p50_ms, champion.p50_ms, least),
        ("99th percentile", arm.p99_ms, champion.p99_ms, max(least, _TAIL_FROM)),
    )
    for name, own, other, enough in looked_at:
        if own is None or not other or min(arm.exposures, champion.exposures) < enough:
            continue
        if own > bound * other:
            return (
                f"the {name} of its latency is {own:.3g} ms beside {other:.3g} ms of the champion,"
                f" expected at most {bound:g} times as much"
            )
    return ""


def _distribution(guards: Guards, arm: Watched, champion: Watched) -> str:
    bound = guards.psi_at_most
    if bound is None or arm.psi is None or min(arm.exposures, champion.exposures) < guards.at_least:
        return ""
    if arm.psi <= bound:
        return ""
    return (
        f"its predictions are distributed otherwise than the champion's: PSI {arm.psi:.3g}, expected at"
        f" most {bound:g}"
    )
