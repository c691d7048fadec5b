"""Gates: the conditions a candidate must meet, as data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from evidence.metrics import METRICS, Task, check_name, metric_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_BOUNDS = ("at_least", "at_most", "worse_than_champion_by_at_most")
_ROUNDING = 1e-12
_KNOWN = (*metric_names("classification"), *metric_names("regression"))


@dataclass(frozen=True)
class Gate:
    """A condition with exactly one bound, on one metric or on one figure of data quality.

    With `slice`, a column, it holds for every slice of that column. `on` says whether the whole interval
    has to be inside the bound, or the value alone. Raises `ValueError` where it makes no sense.
    """

    metric: str | None = None
    at_least: float | None = None
    at_most: float | None = None
    worse_than_champion_by_at_most: float | None = None
    slice: str | None = None
    quality: str | None = None
    on: Literal["interval", "value"] = "interval"

    def __post_init__(self) -> None:
        if (self.metric is None) == (self.quality is None):
            found = "both" if self.metric else "neither"
            raise ValueError(f"A gate is on a metric or on a quality of the data; found {found}")
        bounds = [name for name in _BOUNDS if getattr(self, name) is not None]
        if len(bounds) != 1:
            found = " and ".join(bounds) or "no bound"
            raise ValueError(f"The gate on {self.name} has {found}, expected one of {', '.join(_BOUNDS)}")
        self._check_kind(bounds[0])

    @property
    def name(self) -> str:
        """What it judges."""
        return self.metric or self.quality or ""

    @property
    def bound(self) -> float:
        """The number that decides."""
        bounds = (self.at_least, self.at_most, self.worse_than_champion_by_at_most)
        return next(bound for bound in bounds if bound is not None)

    @property
    def is_relative(self) -> bool:
        """Whether the champion plays a part."""
        return self.worse_than_champion_by_at_most is not None

    @property
    def expected(self) -> str:
        """The bound in words."""
        if self.is_relative:
            return f"no more than {self.bound:g} worse"
        return f"at {'most' if self.at_least is None else 'least'} {self.bound:g}"

    def worse_by(self, difference: float) -> float:
        """How much worse than the champion's is a candidate whose metric differs by so much."""
        # Precision and recall, which are made per threshold and not in METRICS, are better when higher.
        metric = METRICS.get(self.name)
        return -difference if metric is None or metric.higher_is_better else difference

    def margin(self, found: float) -> float:
        """How far inside the bound a value lies, or a difference to the champion; outside is below 0."""
        if self.is_relative:
            # 0.72 - 0.715 is a little more than 0.005 in binary; a gate must not turn on that.
            return self.bound - self.worse_by(found) + _ROUNDING
        return self.bound - found if self.at_least is None else found - self.bound

    def _check_kind(self, bound: str) -> None:
        where = f"The gate on {self.name}"
        if not math.isfinite(self.bound):
            raise ValueError(f"{where}: {bound} is {self.bound}, expected a number")
        if self.is_relative and self.bound < 0:
            raise ValueError(f"{where}: {bound} is {self.bound:g}, expected 0 or more")
        if self.on not in ("interval", "value"):
            raise ValueError(f"{where}: on is {self.on!r}, expected interval or value")
        if self.quality is not None and (self.is_relative or self.slice):
            raise ValueError(f"{where} judges the data: expected at_least or at_most, and no slice")
        if self.slice is not None and self.on == "value":
            raise ValueError(
                f"{where} of each {self.slice} needs intervals: small slices fail on values by chance"
            )
        if self.metric is not None and self.metric not in _KNOWN:
            raise ValueError(f"{where}: there is no such metric; there is: {', '.join(_KNOWN)}")
        if self.is_relative and self.metric in METRICS and METRICS[self.metric].higher_is_better is None:
            raise ValueError(f"{where}: neither more nor less of it is better; expected at_least or at_most")


def check_gates(
    gates: Iterable[Gate], task: Task, metrics: Sequence[str], slices: Sequence[str] = ()
) -> None:
    """Raise `ValueError` where a gate judges what is of the other task, not measured, or not sliced by."""
    for gate in gates:
        if gate.metric is None:
            continue
        check_name(task, gate.metric)
        if gate.metric not in metrics:
            raise ValueError(f"The gate on {gate.metric} judges what is not among the metrics; add it there")
        if gate.slice is not None and gate.slice not in slices:
            found = ", ".join(slices) or "none"
            raise ValueError(
                f"The gate on {gate.metric} judges each {gate.slice}, which is not among the slices: {found};"
                " add it there"
            )
