"""Gates: the conditions a candidate's metrics must meet, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evidence.classification import METRICS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# 0.72 - 0.715 is a little more than 0.005 in binary; a gate must not turn on that.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Gate:
    """A condition on one metric: an absolute bound, or a bound on how much worse than the champion.

    Exactly one of the three bounds is set.
    """

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    worse_than_champion_by_at_most: float | None = None


@dataclass(frozen=True)
class GateResult:
    """What one gate said; `sentence` is for people."""

    passed: bool
    sentence: str


def judge(
    gates: Sequence[Gate], candidate: Mapping[str, float], champion: Mapping[str, float] | None
) -> list[GateResult]:
    """Hold metrics of candidate and champion, measured on the same rows, against the gates.

    Where there is no champion, gates relative to it pass: a first version has nothing to beat.
    """
    return [_judge(gate, candidate[gate.metric], champion) for gate in gates]


def _judge(gate: Gate, found: float, champion: Mapping[str, float] | None) -> GateResult:
    name = gate.metric
    if gate.at_least is not None:
        return _result(found >= gate.at_least, f"{name} is {found:.4f}, expected at least {gate.at_least:g}")
    if gate.at_most is not None:
        return _result(found <= gate.at_most, f"{name} is {found:.4f}, expected at most {gate.at_most:g}")
    allowed = gate.worse_than_champion_by_at_most or 0.0
    if champion is None:
        return GateResult(passed=True, sentence=f"{name}: there is no champion to compare with")
    theirs = champion[name]
    worse_by = theirs - found if METRICS[name].higher_is_better else found - theirs
    return _result(
        worse_by <= allowed + _ROUNDING,
        f"{name} is {found:.4f}, the champion's {theirs:.4f}; expected no more than {allowed:g} worse",
    )


def _result(passed: bool, sentence: str) -> GateResult:  # noqa: FBT001  # private, read as a sentence
    return GateResult(passed=passed, sentence=sentence)
