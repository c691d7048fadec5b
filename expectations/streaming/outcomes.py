"""Outcomes: what became of each expectation of a suite in a stream, in Great Expectations' words. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from expectations.divergence import divergence
from expectations.streaming.counting import MOMENTS
from expectations.streaming.forms import Role
from expectations.streaming.moments import Moments
from expectations.streaming.verdicts import figure, judge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from expectations.streaming.inspector import Inspector
    from expectations.streaming.tally import CheckTally, Tally
    from expectations.suite import Expectation


@dataclass(frozen=True)
class Outcome:
    """Whether an expectation was met, and its `result`; `trouble` is why it could not be evaluated."""

    expectation: Expectation
    met: bool
    result: Mapping[str, Any] = field(default_factory=dict)
    trouble: str | None = None


def outcomes(inspector: Inspector, tally: Tally) -> tuple[Outcome, ...]:
    """Say of each expectation of a suite, in its order, what all rows show."""
    checks = zip(inspector.suite.expectations, inspector.roles, tally.checks, strict=True)
    return tuple(_outcome(expectation, role, check, tally) for expectation, role, check in checks)


def _outcome(expectation: Expectation, role: Role, check: CheckTally, tally: Tally) -> Outcome:
    layouts = sorted(tally.columns) or [()]
    missing = [c for c in expectation.columns if any(c not in names for names in layouts)]
    if missing:
        return Outcome(expectation, met=False, trouble=f"column {missing[0]!r} is missing")
    if check.trouble is not None:
        return Outcome(expectation, met=False, trouble=check.trouble)
    if role is not Role.WHOLE:
        return _of_rows(expectation, check, tally.rows)
    met = not any(judge(expectation, role, check, tally.rows, names) for names in layouts)
    result = {"observed_value": _observed(expectation, check, tally)}
    if "partition_object" in expectation.kwargs and check.values is not None and check.values.counts:
        expected = expectation.kwargs["partition_object"]
        seen = _partition(expected, check.values.counts)
        result["details"] = {"observed_partition": seen, "expected_partition": expected}
    return Outcome(expectation, met, result)


def _of_rows(expectation: Expectation, check: CheckTally, rows: int) -> Outcome:
    unmet, missing = check.unexpected, rows - check.considered
    share = unmet / check.considered if check.considered else 0.0
    result = {
        "element_count": rows,
        "missing_count": missing,
        "missing_percent": 100 * missing / rows if rows else 0.0,
        "unexpected_count": unmet,
        "unexpected_percent": 100 * share,
        "unexpected_percent_nonmissing": 100 * share,
        "unexpected_percent_total": 100 * unmet / rows if rows else 0.0,
        "partial_unexpected_list": list(check.examples),
    }
    return Outcome(expectation, not unmet or 1 - share >= expectation.kwargs.get("mostly", 1), result)


def _observed(expectation: Expectation, check: CheckTally, tally: Tally) -> object:
    kind = expectation.type
    if kind.startswith("expect_table_row_count"):
        return tally.rows
    if kind == "expect_table_columns_to_match_set":
        return sorted({name for names in tally.columns for name in names})
    if kind in MOMENTS:
        return figure(MOMENTS[kind], check.moments or Moments())
    if kind == "expect_column_proportion_of_non_null_values_to_be_between":
        return (check.considered - check.unexpected) / check.considered if check.considered else None
    return _of_values(expectation, check)


def _of_values(expectation: Expectation, check: CheckTally) -> object:
    if check.values is None or check.values.counts is None:
        return None
    counts = check.values.counts
    if expectation.type == "expect_column_kl_divergence_to_be_less_than":
        far = divergence(counts, expectation.kwargs)
        return far if math.isfinite(far) else None
    if expectation.type == "expect_column_unique_value_count_to_be_between":
        return len(counts)
    return sorted(counts)


def _partition(expected: Mapping[str, Any], counts: Mapping[Any, int]) -> dict[str, Any]:
    seen = sum(counts.values())
    if "bins" not in expected:
        values = sorted(counts)
        return {"values": values, "weights": [counts[value] / seen for value in values]}
    shares = [counts.get(number, 0) / seen for number in range(-1, len(expected["bins"]))]
    return {"bins": expected["bins"], "weights": shares[1:-1], "tail_weights": [shares[0], shares[-1]]}
