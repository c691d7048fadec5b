"""Answers of an arm beside those of the champion at the same time, and how they differ. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from evidence.drift import psi
from serving.routing.guards import Watched, breach

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from serving.recording.exposure import Exposure
    from serving.routing.published import ArmView

_BROKEN = 500
# Latencies and predictions are those of the last so many answers and rows.
_KEPT = 20_000
_BINS = 10
_MS = 1000.0


@dataclass
class _Seen:
    """What one version answered."""

    exposures: int = 0
    errors: int = 0
    latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT))
    predictions: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def add(self, exposure: Exposure) -> None:
        self.exposures += 1
        self.errors += exposure.status >= _BROKEN
        self.latencies_ms.append(_MS * exposure.latency_s)
        self.predictions.extend(np.frombuffer(exposure.predictions, "<f4")[-_KEPT:].tolist())

    def watched(self, digest: str, since: float) -> Watched:
        p50, p99 = np.percentile(self.latencies_ms, [50, 99]) if self.latencies_ms else (None, None)
        return Watched(
            digest,
            since,
            self.exposures,
            self.errors,
            None if p50 is None else float(p50),
            None if p99 is None else float(p99),
        )


class Window:
    """One arm in one step of its ramp, and the champion from the same moment on.

    What it has seen once is not unseen: a breach stays, also when the arm has no traffic any more.
    """

    def __init__(self, view: ArmView) -> None:
        self.view = view
        self._arm, self._champion = _Seen(), _Seen()
        self._breach: str | None = None

    @property
    def key(self) -> tuple[str | None, float | None]:
        """What this is a window of; for another digest or step there is another one."""
        return self.view.digest, self.view.since

    def add(self, exposures: Iterable[Exposure]) -> None:
        """Take what was answered since the last time."""
        for exposure in exposures:
            if exposure.arm == self.view.arm and exposure.digest == self.view.digest:
                self._arm.add(exposure)
            elif exposure.mode == "champion":
                self._champion.add(exposure)

    def watched(self) -> Watched:
        """Say how the arm does beside the champion."""
        digest, since = self.view.digest or "", self.view.since or 0.0
        champion = self._champion.watched("", since)
        found = replace(
            self._arm.watched(digest, since),
            psi=population_stability(self._champion.predictions, self._arm.predictions),
        )
        if self._breach is None and self.view.guards is not None:
            self._breach = breach(self.view.guards, found, champion)
        return replace(found, breach=self._breach)


def population_stability(expected: Sequence[float], found: Sequence[float]) -> float | None:
    """Return the PSI of two samples over the deciles of the first; None where there is too little of one."""
    ours, theirs = (_finite(values) for values in (expected, found))
    if min(len(ours), len(theirs)) < _BINS:
        return None
    edges = np.unique(np.quantile(ours, np.linspace(0, 1, _BINS + 1)[1:-1]))
    then, now = (
        np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1) for values in (ours, theirs)
    )
    return psi(then, now)


def _finite(values: Sequence[float]) -> npt.NDArray[np.float64]:
    found = np.fromiter(values, np.float64, len(values))
    return found[np.isfinite(found)]
