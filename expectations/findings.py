"""Findings: each thing wrong with a table, and how they add up to a report. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from expectations.reasons import row_reasons, rule, show, show_list
from expectations.report import EXAMPLES_PER_CHECK, CheckFailure, Report, RowFailure
from expectations.suite import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pyarrow as pa

    from expectations.suite import Expectation, Suite


@dataclass(frozen=True, slots=True)
class Finding:
    """A failure and its severity; one that lies in rows has their positions and reasons.

    Of rows that were reported before, batch by batch, both are empty.
    """

    severity: Severity
    failure: CheckFailure
    positions: Sequence[int] | None = None
    reasons: Sequence[str] = ()


def shape_findings(columns: Sequence[str], rows: int, suite: Suite) -> list[Finding]:
    """Find what is wrong before any value is looked at: no rows, doubled or missing columns."""
    findings = []
    if rows == 0:
        # Great Expectations finds every expectation on a column met by no data.
        failure = CheckFailure("0 rows, expected at least 1", "row count", None, 0)
        findings.append(Finding(Severity.CRITICAL, failure))
    names = Counter(columns)
    for name, times in names.items():
        if times > 1:
            message = f"column {show(name)} appears {times} times, expected once"
            failure = CheckFailure(message, "unique columns", name, rows)
            findings.append(Finding(Severity.CRITICAL, failure))
    missing: dict[str, Expectation] = {}
    # Critical ones first: one failure per column, as severe as the most severe that needs it.
    for expectation in sorted(suite.expectations, key=lambda each: list(Severity).index(each.severity)):
        for name in expectation.columns:
            if name not in names:
                missing.setdefault(name, expectation)
    for name, expectation in missing.items():
        message = f"column {show(name)} is missing, found {show_list(columns) or 'none'}"
        failure = CheckFailure(message, expectation.type, name, rows)
        findings.append(Finding(expectation.severity, failure))
    return findings


def row_finding(expectation: Expectation, table: pa.Table, positions: Sequence[int]) -> Finding:
    """Say of some rows of a table that they do not meet an expectation."""
    reasons = row_reasons(expectation, table, positions)
    examples = [
        f"row {position}: {reason}"
        for position, reason in zip(positions[:EXAMPLES_PER_CHECK], reasons, strict=False)
    ]
    failure = _rows_failure(expectation, len(positions), table.num_rows, examples)
    return Finding(expectation.severity, failure, positions, reasons)


def counted_finding(expectation: Expectation, failing: int, rows: int, examples: Sequence[str]) -> Finding:
    """Say of some rows, reported before, how many of all do not meet an expectation."""
    return Finding(expectation.severity, _rows_failure(expectation, failing, rows, examples), ())


def share_finding(expectation: Expectation, rows: int, met_percent: float) -> Finding:
    """Say that fewer rows than `mostly` of those with a value meet an expectation."""
    message = (
        f"{' and '.join(expectation.columns)}, {rule(expectation)}: met by {met_percent:.1f}% of the "
        f"rows, expected at least {expectation.kwargs['mostly']:.1%}"
    )
    return batch_finding(expectation, rows, message)


def batch_finding(expectation: Expectation, rows: int, message: str) -> Finding:
    """Say of a whole table that it does not meet an expectation."""
    failure = CheckFailure(message, expectation.type, _only_column(expectation), rows)
    return Finding(expectation.severity, failure)


def to_report(rows: int, suite: Suite, findings: Iterable[Finding]) -> Report:
    """Add findings up: critical ones fail rows or the batch, the others are warnings."""
    reasons: defaultdict[int, list[str]] = defaultdict(list)
    row_checks, batch, warnings = [], [], []
    for finding in findings:
        if finding.severity is not Severity.CRITICAL:
            warnings.append(finding.failure)
        elif finding.positions is not None:
            row_checks.append(finding.failure)
            for position, reason in zip(finding.positions, finding.reasons, strict=True):
                reasons[position].append(reason)
        else:
            batch.append(finding.failure)
    return Report(
        suite=suite.name,
        suite_digest=suite.digest,
        rows=rows,
        row_failures=tuple(RowFailure(position, tuple(reasons[position])) for position in sorted(reasons)),
        row_checks=tuple(row_checks),
        batch_failures=tuple(batch),
        warnings=tuple(warnings),
    )


def _rows_failure(expectation: Expectation, failing: int, rows: int, examples: Sequence[str]) -> CheckFailure:
    return CheckFailure(
        message=f"{' and '.join(expectation.columns)}, {rule(expectation)}: {failing:,} of {rows:,} rows",
        check=expectation.type,
        column=_only_column(expectation),
        count=failing,
        examples=tuple(examples),
    )


def _only_column(expectation: Expectation) -> str | None:
    return expectation.columns[0] if len(expectation.columns) == 1 else None
