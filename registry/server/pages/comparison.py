"""Candidate and champion side by side: metrics with their intervals, slices, parameters. Pure.

Metrics follow one convention, in a verdict and (behind `candidate_` and `champion_`) in the validation's
run: `auc` has its interval in `auc.low` and `auc.high`; `slice/carrier:AA/auc` is the same for the rows
of one slice, and `slice/carrier:AA/rows` how many there were; `difference_auc` is the candidate's less
the champion's. MLflow allows no `=` in the names of a run's metrics; in a verdict `carrier=AA` is read
too. What is not there is not shown.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evidence import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CANDIDATE, CHAMPION, DIFFERENCE = "candidate_", "champion_", "difference_"

_SLICE = re.compile(r"slice/(?P<slice>[^/]+)/(?P<metric>.+)")
_LOW, _HIGH, _ROWS = ".low", ".high", "rows"
_THOUSAND = 1000


@dataclass(frozen=True)
class Measure:
    """A number, and its confidence interval where there is one."""

    value: float
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        return self._written("")

    @property
    def as_difference(self) -> str:
        """The number with its sign, and half the digits."""
        return self._written("+")

    def _written(self, sign: str) -> str:
        if self.low is None or self.high is None:
            return number(self.value, sign)
        return f"{number(self.value, sign)} ({number(self.low, sign)} to {number(self.high, sign)})"


@dataclass(frozen=True)
class MetricRow:
    """One metric of both. `verdict` is `better`, `worse` or empty, where the metric has a direction."""

    name: str
    candidate: Measure | None
    champion: Measure | None
    difference: Measure | None
    verdict: str = ""


@dataclass(frozen=True)
class Slice:
    """The metrics of one part of the rows, as `carrier: AA`."""

    name: str
    rows: int | None
    metrics: tuple[MetricRow, ...]


@dataclass(frozen=True)
class Comparison:
    """All metrics of a candidate, beside those of the champion where they can be compared."""

    metrics: tuple[MetricRow, ...]
    slices: tuple[Slice, ...]
    same_rows: bool


@dataclass(frozen=True)
class ValueRow:
    """A named value of both; None where one does not have it."""

    name: str
    candidate: str | None
    champion: str | None

    @property
    def changed(self) -> bool:
        """Whether they differ."""
        return self.candidate != self.champion


def compare(
    candidate: Mapping[str, float],
    champion: Mapping[str, float],
    difference: Mapping[str, float] | None = None,
) -> Comparison:
    """Lay two sets of metrics side by side, in the order of the candidate's names.

    `difference` is what was measured of it, maybe nothing; None where both are not of the same rows, and
    a difference would say nothing.
    """
    of = [_by_slice(metrics) for metrics in (candidate, champion, difference or {})]
    names = sorted(of[0].keys() | of[1].keys())
    same = difference is not None
    rows = {name: _rows(*(metrics.get(name, {}) for metrics in of), same_rows=same) for name in names}
    slices = []
    for name in names:
        if name:
            counted = of[0].get(name, {}).get(_ROWS)
            metrics = tuple(row for row in rows[name] if row.name != _ROWS)
            slices.append(Slice(name, int(counted) if counted is not None else None, metrics))
    return Comparison(tuple(rows.get("", ())), tuple(slices), same_rows=same)


def with_prefix(prefix: str, metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): value for name, value in metrics.items() if name.startswith(prefix)}


def values(candidate: Mapping[str, str], champion: Mapping[str, str] | None) -> tuple[ValueRow, ...]:
    """Lay named values side by side; what differs comes first. Without a champion nothing differs."""
    if champion is None:
        return tuple(ValueRow(name, candidate[name], candidate[name]) for name in sorted(candidate))
    rows = [
        ValueRow(n, candidate.get(n), champion.get(n)) for n in sorted(candidate.keys() | champion.keys())
    ]
    return tuple(sorted(rows, key=lambda row: not row.changed))


def disagreements(frozen: Mapping[str, float], now: Mapping[str, float]) -> list[str]:
    """Say where a run, which can still be edited, no longer says what the verdict said."""
    return [
        f"The verdict says {name} {number(frozen[name])}, and its run now says {number(now[name])}."
        for name in sorted(frozen.keys() & now.keys())
        if not math.isclose(frozen[name], now[name], rel_tol=1e-6, abs_tol=1e-9)
    ]


def number(value: float, sign: str = "") -> str:
    """Write a number with four digits that count; a difference, with its sign, with two."""
    if math.isfinite(value) and abs(value) >= _THOUSAND:
        return f"{value:{sign},.0f}"
    return f"{value:+#.2g}" if sign else f"{value:#.4g}"


def _by_slice(metrics: Mapping[str, float]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for name, value in metrics.items():
        match = _SLICE.fullmatch(name)
        if match is None:
            found.setdefault("", {})[name] = value
        else:
            column, _, of = match["slice"].replace("=", ":", 1).partition(":")
            found.setdefault(f"{column}: {of}" if of else column, {})[match["metric"]] = value
    return found


def _rows(
    candidate: Mapping[str, float],
    champion: Mapping[str, float],
    difference: Mapping[str, float],
    *,
    same_rows: bool,
) -> tuple[MetricRow, ...]:
    ours, theirs, between = (_measures(metrics) for metrics in (candidate, champion, difference))
    rows = []
    for name in _in_order(ours, theirs):
        mine, other = ours.get(name), theirs.get(name)
        apart = between.get(name)
        if same_rows and apart is None and mine and other:
            apart = Measure(mine.value - other.value)
        rows.append(MetricRow(name, mine, other, apart, _verdict(name, apart)))
    return tuple(rows)


def _measures(metrics: Mapping[str, float]) -> dict[str, Measure]:
    return {
        name: Measure(value, metrics.get(f"{name}{_LOW}"), metrics.get(f"{name}{_HIGH}"))
        for name, value in metrics.items()
        if not any(name.endswith(end) and name.removesuffix(end) in metrics for end in (_LOW, _HIGH))
    }


def _in_order(*measured: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(name for names in measured for name in names))


def _verdict(name: str, difference: Measure | None) -> str:
    metric = METRICS.get(name)
    if metric is None or difference is None or difference.value == 0:
        return ""
    if difference.low is not None and difference.high is not None and difference.low <= 0 <= difference.high:
        return "no clear difference"
    return "better" if (difference.value > 0) is metric.higher_is_better else "worse"
