"""The search of a project: which parameters are tried, how often, and by which metric they are compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evidence import metrics_for
from projects.checks import as_list, as_mapping, check_number, is_number, refuse_unknown
from projects.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from evidence import Task

Value = float | int | str

_KEYS = ("metric", "trials", "rounds", "patience", "space")
_LEAST = {"trials": 1, "rounds": 1, "patience": 1}


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; whole ones if both ends are."""

    low: float
    high: float
    log: bool = False

    @property
    def first(self) -> Value:
        """A value that can be tried."""
        return self.low

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are tried."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def holds(self, value: Value) -> bool:
        """Say whether a value can be tried."""
        fits = isinstance(value, int) if self.whole else is_number(value)
        return fits and self.low <= value <= self.high  # type: ignore[operator]  # a number, by now


@dataclass(frozen=True)
class Choice:
    """One of some words or numbers."""

    among: tuple[Value, ...]

    @property
    def first(self) -> Value:
        """A value that can be tried."""
        return self.among[0]

    def holds(self, value: Value) -> bool:
        """Say whether a value can be tried."""
        return value in self.among


@dataclass(frozen=True)
class Search:
    """What `tune` tries. `rounds` are the most a trial boosts; it stops `patience` after its best one."""

    metric: str
    trials: int
    rounds: int
    patience: int
    space: Mapping[str, Range | Choice]


def parse_search(found: Any, task: Task, where: str) -> Search:
    """Check the content of the key `search`. Raises `DeclarationError`."""
    search = as_mapping(found, where)
    refuse_unknown(search, _KEYS, where)
    for key in _KEYS:
        if key not in search:
            raise DeclarationError(f"{where}: the key {key!r} is missing")
    for key, least in _LEAST.items():
        check_number(search[key], least, f"{where}: {key}")
    _check_metric(search["metric"], task, where)
    space = as_mapping(search["space"], f"{where}: space")
    if not space:
        raise DeclarationError(f"{where}: space is empty, expected at least one parameter")
    return Search(
        metric=search["metric"],
        **{key: search[key] for key in _LEAST},
        space={str(name): _dimension(each, f"{where}: space: {name}") for name, each in space.items()},
    )


def _check_metric(found: Any, task: Task, where: str) -> None:
    try:
        metric = metrics_for(task, [str(found)])[str(found)]
    except ValueError as error:
        raise DeclarationError(f"{where}: metric: {error}") from error
    if metric.higher_is_better is None:
        raise DeclarationError(
            f"{where}: metric: {found} is best in the middle; expected one that is better high or low"
        )


def _dimension(found: Any, where: str) -> Range | Choice:
    dimension = as_mapping(found, where)
    if "among" in dimension:
        refuse_unknown(dimension, ("among",), where)
        values = as_list(dimension["among"], f"{where}: among")
        if not values or not all(isinstance(v, str) or is_number(v) for v in values):
            raise DeclarationError(f"{where}: among is {values!r}, expected numbers or words")
        return Choice(tuple(values))
    refuse_unknown(dimension, ("from", "to", "scale"), where)
    low, high, scale = dimension.get("from"), dimension.get("to"), dimension.get("scale", "linear")
    if not is_number(low) or not is_number(high) or low >= high:  # type: ignore[operator]
        raise DeclarationError(
            f"{where}: it goes from {low!r} to {high!r}; expected two rising numbers, or among: […]"
        )
    if scale not in {"linear", "log"}:
        raise DeclarationError(f"{where}: scale is {scale!r}, expected linear or log")
    if scale == "log" and low <= 0:  # type: ignore[operator]
        raise DeclarationError(f"{where}: it goes from {low!r}; on a log scale expected more than 0")
    return Range(low, high, scale == "log")  # type: ignore[arg-type]
