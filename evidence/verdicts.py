"""What gates say to findings: passed, failed, or that the data cannot tell; each with a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from evidence.findings import Findings
    from evidence.gates import Gate
    from evidence.intervals import Estimate
    from evidence.slices import SliceFinding


class Verdict(StrEnum):
    """What is known of a condition."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class GateResult:
    """What one gate said; `sentence` is for people."""

    verdict: Verdict
    sentence: str

    @property
    def passed(self) -> bool:
        """Whether the condition is met."""
        return self.verdict is Verdict.PASSED


def judge(gates: Iterable[Gate], findings: Findings) -> list[GateResult]:
    """Hold findings against gates, in order.

    A gate passes where the whole interval is inside its bound, fails where all of it is outside, and is
    inconclusive otherwise, also where there is no interval; with `on: value` the value alone decides. A
    gate on slices fails only where an interval that holds for all slices at once is outside, and is
    inconclusive only where no slice could be judged. Where there is no champion, gates relative to it
    pass: a first version has nothing to beat. Raises `ValueError` where what a gate judges is not there.
    """
    return [_judge(gate, findings) for gate in gates]


def overall(results: Iterable[GateResult]) -> Verdict:
    """Sum up: failed if any is, else inconclusive if any is, else passed."""
    found = {result.verdict for result in results}
    if Verdict.FAILED in found:
        return Verdict.FAILED
    return Verdict.INCONCLUSIVE if Verdict.INCONCLUSIVE in found else Verdict.PASSED


def _judge(gate: Gate, findings: Findings) -> GateResult:
    if gate.quality is not None:
        _require(gate.name, findings.quality, "figures of data quality")
        found = findings.quality[gate.name]
        verdict = _of_margins(gate.margin(found), gate.margin(found))
        return GateResult(verdict, f"{gate.name} is {found:.4f}, expected {gate.expected}")
    _require(gate.name, findings.candidate, "metrics measured")
    of_each = "" if gate.slice is None else f" by {gate.slice}"
    if gate.is_relative and findings.champion is None:
        return GateResult(Verdict.PASSED, f"{gate.name}{of_each}: there is no champion to compare with")
    if gate.slice is not None:
        _require(gate.slice, {s.column for s in findings.slices}, "columns sliced by")
        return _judge_slices(gate, [s for s in findings.slices if s.column == gate.slice])
    value = findings.candidate[gate.name]
    judged = findings.differences[gate.name] if gate.is_relative else value
    verdict = _of_estimate(gate, judged)
    open_because = _why_open(judged) if verdict is Verdict.INCONCLUSIVE else ""
    return GateResult(verdict, f"{gate.name} is {_said(gate, value, judged)}{open_because}")


def _judge_slices(gate: Gate, slices: list[SliceFinding]) -> GateResult:
    kept = [s.differences if gate.is_relative else s.estimates for s in slices]
    # The one nearest to failing, or farthest beyond the bound, comes first.
    known = sorted(
        (
            (s, found[gate.name])
            for s, found in zip(slices, kept, strict=True)
            if gate.name in found and found[gate.name].low is not None
        ),
        key=lambda pair: gate.margin(pair[1].value),
    )
    if not known:
        sentence = f"{gate.name} by {gate.slice}: no slice is large enough to judge, expected {gate.expected}"
        return GateResult(Verdict.INCONCLUSIVE, sentence)
    left = len(slices) - len(known)
    unknown = f"; {left} of {len(slices)} cannot be judged" if left else ""
    failed = [pair for pair in known if _of_estimate(gate, pair[1]) is Verdict.FAILED]
    worst, judged = (failed or known)[0]
    said = _said(gate, worst.estimates[gate.name], judged)
    where = f"where {gate.slice} is {worst.value}"
    if failed:
        more = f"; so it is in {len(failed) - 1} more" if len(failed) > 1 else ""
        return GateResult(Verdict.FAILED, f"{gate.name} {where} is {said}{more}{unknown}")
    return GateResult(
        Verdict.PASSED,
        f"{gate.name} by {gate.slice}: none of {len(known)} is shown to be beyond the bound; at worst,"
        f" {where}, it is {said}{unknown}",
    )


def _of_estimate(gate: Gate, found: Estimate) -> Verdict:
    if gate.on == "value":
        return _of_margins(gate.margin(found.value), gate.margin(found.value))
    if found.low is None or found.high is None:
        return Verdict.INCONCLUSIVE
    return _of_margins(*sorted((gate.margin(found.low), gate.margin(found.high))))


def _of_margins(least: float, most: float) -> Verdict:
    if least >= 0:
        return Verdict.PASSED
    # Said this way round, what is no number fails.
    return Verdict.INCONCLUSIVE if most >= 0 else Verdict.FAILED


def _said(gate: Gate, value: Estimate, judged: Estimate) -> str:
    if not gate.is_relative:
        ends = _ends(judged.low, judged.high, "{:.4f}".format)
        return f"{value.value:.4f}{ends}, expected {gate.expected}"
    low, high = (None if end is None else gate.worse_by(end) for end in (judged.low, judged.high))
    if low is not None and high is not None:
        low, high = min(low, high), max(low, high)
    worse = f"{_signed(gate.worse_by(judged.value))}{_ends(low, high, _signed)}"
    champion = value.value - judged.value
    return f"{value.value:.4f}, the champion's {champion:.4f}: {worse}; expected {gate.expected}"


def _ends(low: float | None, high: float | None, write: Callable[[float], str]) -> str:
    return "" if low is None or high is None else f" ({write(low)} to {write(high)})"


def _signed(worse: float) -> str:
    return f"{abs(worse):.4f} {'worse' if worse > 0 else 'better'}"


def _why_open(found: Estimate) -> str:
    if found.reason is not None:
        return f". There is no interval: {found.reason}"
    return f". {found.blocks} blocks of rows are too few to tell; judge on more"


def _require(name: str, known: Collection[str], what: str) -> None:
    if name not in known:
        raise ValueError(
            f"A gate judges {name}, which is not among the {what}: {', '.join(sorted(known)) or 'none'}"
        )
