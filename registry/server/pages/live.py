"""A comparison on live traffic, as `python -m serving compare --record` logged it, laid out. Pure.

It comes from a run, which whoever may write to its experiment has written. So whatever it holds, it is
bounded, and what it says of another artifact is not shown.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry.server.pages.comparison import Measure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.server.versions import Version

FILE, MOST_BYTES = "comparison.json", 1_000_000
_MOST_ROWS, _MOST_SENTENCES, _MOST_CHARACTERS = 40, 20, 400
_WORDS = {
    "better": "better",
    "worse": "worse",
    "no_difference": "no difference larger than δ",
    "keep_going": "keep going",
    "no_data": "no data",
    "mismatch": "shares do not match",
}
_MARKS = {"better": "good", "worse": "bad", "mismatch": "bad"}


@dataclass(frozen=True)
class LiveMetric:
    """One metric: the challenger's less the champion's, with an interval that holds at every look."""

    name: str
    outcome: str
    mark: str
    difference: str
    delta: str
    observations: str
    more: str
    said: str


@dataclass(frozen=True)
class LiveComparison:
    """The newest comparison of a version; `problem` says, in one sentence, why there is none to show."""

    run_id: str = ""
    experiment_id: str = ""
    beside: str = ""
    period: str = ""
    said: tuple[str, ...] = ()
    metrics: tuple[LiveMetric, ...] = ()
    counts: tuple[tuple[str, str], ...] = ()
    problem: str = ""


def read(text: bytes, candidate: Version, champion: Version | None) -> LiveComparison:
    """Lay out what `comparison.json` says of `candidate`. Raises `ValueError` where it is no comparison."""
    try:
        found = json.loads(text)
    except RecursionError as error:
        raise ValueError("It is nested too deeply") from error
    sides = [_mapping(found, "challenger"), _mapping(found, "champion")]
    if (sides[0].get("version"), sides[0].get("digest")) != (candidate.number, candidate.standing.digest):
        raise ValueError("It is about another artifact than this version's")
    mode = _text(found.get("mode"))
    return LiveComparison(
        beside=_beside(sides[1], champion) + (f" Mode: {mode}." if mode else ""),
        period=" to ".join(_text(found[key]) for key in ("since", "until") if found.get(key)),
        # Whether traffic was shared as declared comes first: if not, nothing else means anything.
        said=tuple(
            dict.fromkeys(
                [*_sentences([_mapping(found, "ratio").get("said")]), *_sentences(found.get("said"))]
            )
        ),
        metrics=tuple(_metric(row) for row in _list(found.get("metrics")) if isinstance(row, dict)),
        counts=tuple(
            (_text(name), _number(count)) for name, count in [*_mapping(found, "counts").items()][:_MOST_ROWS]
        ),
    )


def _beside(side: Mapping[str, Any], champion: Version | None) -> str:
    version, digest = side.get("version"), side.get("digest")
    named = f"Beside version {_text(version)}"
    if champion and (version, digest) == (champion.number, champion.standing.digest):
        return f"{named}, in Production."
    return f"{named}, which is not what is in Production beside it now."


def _metric(row: Mapping[str, Any]) -> LiveMetric:
    outcome = _text(row.get("outcome"))
    difference, low, high, delta = (_float(row.get(key)) for key in ("difference", "low", "high", "delta"))
    return LiveMetric(
        name=_text(row.get("metric")),
        outcome=_WORDS.get(outcome, outcome),
        mark=_MARKS.get(outcome, "plain"),
        difference="" if difference is None else Measure(difference, low, high).as_difference,
        delta="" if delta is None else f"{delta:g}",
        observations=_number(row.get("observations")),
        more=_number(row.get("more")),
        said=_text(row.get("said")),
    )


def _mapping(found: Any, key: str) -> Mapping[str, Any]:
    value = found.get(key) if isinstance(found, dict) else None
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value[:_MOST_ROWS] if isinstance(value, list) else []


def _sentences(value: Any) -> tuple[str, ...]:
    return tuple(_text(said) for said in _list(value)[:_MOST_SENTENCES] if said)


def _number(value: Any) -> str:
    number = _float(value)
    if number is None or not math.isfinite(number):
        return ""
    return f"{number:,.0f}" if number.is_integer() else f"{number:,.4g}"


def _float(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return None if math.isnan(number) else number


def _text(value: Any) -> str:
    text = "" if value is None else str(value)[: _MOST_CHARACTERS + 1]
    return f"{text[:_MOST_CHARACTERS]}…" if len(text) > _MOST_CHARACTERS else text
