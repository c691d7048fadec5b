"""What a routes file declares: which versions of a model are answered with, tried and recorded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

CHAMPION = "champion"
METRICS = ("brier", "log_loss", "squared_error", "absolute_error", "reward", "error_rate", "latency_ms")

Mode = Literal["ab", "canary", "shadow"]


@dataclass(frozen=True)
class EntityKey:
    """What a request is about, by a header (in small letters) or a column of the model: one of the two."""

    header: str | None = None
    column: str | None = None


@dataclass(frozen=True)
class Recording:
    """Tables below GREENROOM_DATA, or `s3://…`; `requests`: whether what was asked is recorded, too."""

    exposures: str
    feedback: str
    requests: bool = True
    spool_mib: int = 256


@dataclass(frozen=True)
class Step:
    """A part of a ramp: so many percent of all requests, for at least so many seconds."""

    percent: float
    for_s: float


@dataclass(frozen=True)
class Guards:
    """What stops a canary, judged on `at_least` answers or more of the ramp step. None: not looked at."""

    error_share_at_most: float | None = 0.01
    latency_ratio_at_most: float | None = 2.0
    psi_at_most: float | None = 0.25
    at_least: int = 200


@dataclass(frozen=True)
class Challenger:
    """A version beside the champion. `version` None: whichever is in Staging.

    `weight` is its percent where `mode` is `ab`; a canary has a `ramp` and `guards`, a shadow none of them.
    """

    arm: str
    version: int | None
    mode: Mode
    weight: float = 0.0
    ramp: tuple[Step, ...] = ()
    guards: Guards = field(default_factory=Guards)


@dataclass(frozen=True)
class Comparing:
    """How arms are compared: the error allowed over all of it, and for each metric what does not matter."""

    alpha: float
    deltas: Mapping[str, float]


@dataclass(frozen=True)
class Outcomes:
    """A table of outcomes by entity; with `above`, an outcome is whether `column` is larger than that."""

    table: str
    key: str
    column: str
    above: float | None = None


@dataclass(frozen=True)
class Routes:
    """A whole routes file. `champion_weight` and the weights of `ab` arms are percent, and add up to 100."""

    model: str
    champion_weight: float = 100.0
    challengers: tuple[Challenger, ...] = ()
    entity: EntityKey | None = None
    record: Recording | None = None
    compare: Comparing | None = None
    outcomes: Outcomes | None = None
    state: str | None = None

    @property
    def state_location(self) -> str | None:
        """Where the one object lies that all replicas share; None where nothing needs to be shared."""
        if self.state is not None or not any(c.mode != "shadow" for c in self.challengers):
            return self.state
        if self.record is None:
            return None
        above = self.record.exposures.rstrip("/").rpartition("/")[0]
        return f"{above}/routes-state-{self.model}.json".lstrip("/")

    def challenger(self, arm: str) -> Challenger | None:
        """Find a challenger by the name of its arm."""
        return next((each for each in self.challengers if each.arm == arm), None)


def routes_file(model: str) -> str:
    """Return the name of the routes file of a model: `flight_delay.yaml` for `flight-delay`."""
    return f"{model.replace('-', '_')}.yaml"
