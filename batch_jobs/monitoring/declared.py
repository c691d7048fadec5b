"""What a job file declares below `monitor`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Source = Literal["batch", "online"]
Task = Literal["classification", "regression"]
Over = Literal["day", "window"]
Action = Literal["webhook", "retrain"]


@dataclass(frozen=True)
class Outcomes:
    """Where the truth of a day lies: `source` with `{date}` in it, a key and a value for each row.

    With `above`, the label is 1 where the value is above that, 0 where it is not: a classification.
    """

    source: str
    key: str
    column: str
    above: float | None = None

    @property
    def task(self) -> Task:
        """What is predicted: a class, or a number."""
        return "regression" if self.above is None else "classification"


@dataclass(frozen=True)
class Thresholds:
    """From where on a feature counts as drifted; each is of one day against the training rows."""

    psi: float = 0.25
    missing_share: float = 0.1
    unseen_share: float = 0.05


@dataclass(frozen=True)
class Alert:
    """Fires when a figure was beyond its bound on `days` of the last `of` days; resolves when it is not.

    Exactly one of `above` and `below` is a number. `over` says whether the figure is that of a day or of the
    window that ends with it.
    """

    name: str
    metric: str
    above: float | None = None
    below: float | None = None
    source: Source = "batch"
    slice: str = "all"
    feature: str = ""
    over: Over = "day"
    days: int = 1
    of: int = 1
    severity: str = "warning"
    action: Action = "webhook"

    def is_beyond(self, value: float) -> bool:
        """Say whether a value is beyond the bound."""
        return value > self.above if self.above is not None else value < (self.below or 0.0)

    @property
    def said(self) -> str:
        """What it watches, in words."""
        bound = f"above {self.above:g}" if self.above is not None else f"below {self.below:g}"
        where = "".join(f" of {name}" for name in (self.feature, self.slice) if name not in ("", "all"))
        last = f"on {self.days} of the last {self.of} days" if self.of > 1 else "on a day"
        over = ", measured over the window," if self.over == "window" else ""
        return f"{self.source} {self.metric}{where}{over} {bound} {last}"


@dataclass(frozen=True)
class Webhook:
    """The environment variables that hold the address and the secret of who hears of alerts."""

    url: str
    secret: str


@dataclass(frozen=True)
class Retraining:
    """What the action `retrain` trains a project on: so many days, and so many after them to validate.

    Without `train_days` it is trained on all days since the first that the project declares. Where no
    candidate came of it, it is tried again after `again_days`, as long as the alert stands.
    """

    project: str
    validation_days: int
    train_days: int | None = None
    again_days: int = 7


@dataclass(frozen=True)
class Monitor:
    """How a job is watched. `slices` gives the bands of a column that is cut, None for one that is not.

    `window_days` are looked at together, with days as blocks. As many as `late_days` before a day are
    measured again, where their outcomes changed. The endpoint leaves the tables `exposures`, `feedback`.
    """

    outcomes: Outcomes
    output: str
    slices: dict[str, tuple[float, ...] | None] = field(default_factory=dict)
    window_days: int = 14
    late_days: int = 3
    drift: Thresholds = Thresholds()
    exposures: str | None = None
    feedback: str | None = None
    alerts: tuple[Alert, ...] = ()
    webhook: Webhook | None = None
    retrain: Retraining | None = None
    report: str | None = None
