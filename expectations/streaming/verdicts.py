"""Verdicts: from what was counted in all batches to what a suite says of the whole. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from expectations.divergence import divergence
from expectations.findings import batch_finding, counted_finding, share_finding
from expectations.reasons import batch_reason, bounds
from expectations.streaming.counting import MOMENTS
from expectations.streaming.forms import Role
from expectations.streaming.moments import Moments
from expectations.streaming.values import MOST_VALUES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from expectations.findings import Finding
    from expectations.streaming.tally import CheckTally
    from expectations.suite import Expectation


def judge(
    expectation: Expectation, role: Role, check: CheckTally, rows: int, names: Sequence[str]
) -> list[Finding]:
    """Say what an expectation finds in rows of which this was counted; `names` are the table's columns."""
    if check.trouble is not None:
        return [batch_finding(expectation, rows, check.trouble)]
    if role is not Role.WHOLE:
        return _judge_rows(expectation, check, rows)
    # A column that is missing is found by the table's shape.
    exists = expectation.type == "expect_column_to_exist"
    sentence = None if exists else _sentence(expectation, check, rows, names)
    return [] if sentence is None else [batch_finding(expectation, rows, sentence)]


def _judge_rows(expectation: Expectation, check: CheckTally, rows: int) -> list[Finding]:
    if not check.unexpected:
        return []
    found = [counted_finding(expectation, check.unexpected, rows, check.examples)]
    mostly = expectation.kwargs.get("mostly", 1)
    if mostly < 1 and (check.considered - check.unexpected) / check.considered < mostly:
        met = 100 - check.unexpected / check.considered * 100
        found.append(share_finding(expectation, rows, met))
    return found


def _sentence(expectation: Expectation, check: CheckTally, rows: int, names: Sequence[str]) -> str | None:
    """Say what is not met; None where the expectation is."""
    kind = expectation.type
    if kind == "expect_table_row_count_to_be_between":
        return _say_outside(expectation, rows)
    if kind == "expect_table_row_count_to_equal":
        return None if rows == expectation.kwargs["value"] else batch_reason(expectation, rows, None)
    if kind == "expect_table_columns_to_match_set":
        return _say_mismatched(expectation, names)
    if kind in MOMENTS:
        return _say_outside(expectation, figure(MOMENTS[kind], check.moments or Moments()))
    if kind == "expect_column_proportion_of_non_null_values_to_be_between":
        share = (check.considered - check.unexpected) / check.considered if check.considered else None
        return _say_outside(expectation, share)
    return _say_of_values(expectation, check)


def _say_outside(expectation: Expectation, found: float | None) -> str | None:
    kwargs = expectation.kwargs
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    if found is not None:
        above = low is None or (found > low if kwargs.get("strict_min") else found >= low)
        below = high is None or (found < high if kwargs.get("strict_max") else found <= high)
        if above and below:
            return None
    return batch_reason(expectation, found, None)


def figure(name: str, moments: Moments) -> float | None:
    """Return a figure of some numbers; None where it has none."""
    named = {"max": moments.high, "mean": moments.mean, "min": moments.low, "stdev": moments.stdev}
    return named.get(name, moments.sum)


def _say_mismatched(expectation: Expectation, names: Sequence[str]) -> str | None:
    expected = set(expectation.kwargs["column_set"])
    wrong = {"unexpected": sorted(set(names) - expected), "missing": sorted(expected - set(names))}
    if not wrong["missing"] and not (wrong["unexpected"] and expectation.kwargs.get("exact_match", True)):
        return None
    found = {kind: columns for kind, columns in wrong.items() if columns}
    return batch_reason(expectation, None, {"mismatched": found})


def _say_of_values(expectation: Expectation, check: CheckTally) -> str | None:
    kind, kwargs = expectation.type, expectation.kwargs
    counts = check.values.counts if check.values else {}
    if kind == "expect_column_unique_value_count_to_be_between":
        if counts is not None:
            return _say_outside(expectation, len(counts))
        if kwargs.get("max_value") is None:
            return None
        found = f"unique value count is more than {MOST_VALUES}"
        return f"{expectation.columns[0]}: {found}, expected {bounds(kwargs)}"
    if counts is None:
        found = f"the column has more than {MOST_VALUES:,} different values"
        return f"{expectation.columns[0]}: {kind} cannot be evaluated: {found}"
    if kind == "expect_column_kl_divergence_to_be_less_than":
        far = divergence(counts, kwargs)
        observed = far if math.isfinite(far) else None
        return None if far <= kwargs["threshold"] else batch_reason(expectation, observed, None)
    contained = kind.endswith("be_in_set") or set(kwargs["value_set"]) <= counts.keys()
    within = kind.endswith("contain_set") or not check.unexpected
    return None if contained and within else batch_reason(expectation, None, None)
