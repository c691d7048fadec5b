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
    """A failure and its severity; one that lies in rows has their positions and reasons."""

    severity: Severity
    failure: CheckFailure
    positions: Sequence[int] = ()
    reasons: Sequence[str] = ()


def shape_findings(table: pa.Table, suite: Suite) -> list[Finding]:
    """Find what is wrong before any value is looked at: no rows, doubled or missing columns."""
    findings = []
    if table.num_rows == 0:
        # Great Expectations finds every expectation on a column met by no data.
        failure = CheckFailure("0 rows, expected at least 1", "row count", None, 0)
        findings.append(Finding(Severity.CRITICAL, failure))
    names = Counter(table.column_names)
    for name, times in names.items():
        if times > 1:
            message = f"column {show(name)} appears {times} times, expected once"
            failure = CheckFailure(message, "unique columns", name, table.num_rows)
            findings.append(Finding(Severity.CRITICAL, failure))
    missing: dict[str, Expectation] = {}
    # Critical ones first: one failure per column, as severe as the most severe that needs it.
    for expectation in sorted(suite.expectations, key=lambda each: list(Severity).index(each.severity)):
        for name in expectation.columns:
            if name not in names:
                missing.setdefault(name, expectation)
    for name, expectation in missing.items():
        message = f"column {show(name)} is missing, found {show_list(table.column_names) or 'none'}"
        failure = CheckFailure(message, expectation.type, name, table.num_rows)
        findings.append(Finding(expectation.severity, failure))
    return findings


def row_finding(expectation: Expectation, table: pa.Table, positions: Sequence[int]) -> Finding:
    """Say of some rows of a table that they do not meet an expectation."""
    reasons = row_reasons(expectation, table, positions)
    subject = " and ".join(expectation.columns)
    failure = CheckFailure(
        message=f"{subject}, {rule(expectation)}: {len(positions):,} of {table.num_rows:,} rows",
        check=expectation.type,
        column=_only_column(expectation),
        count=len(positions),
        examples=tuple(
            f"row {position}: {reason}"
            for position, reason in zip(positions[:EXAMPLES_PER_CHECK], reasons, strict=False)
        ),
    )
    return Finding(expectation.severity, failure, positions, reasons)


def batch_finding(expectation: Expectation, table: pa.Table, message: str) -> Finding:
    """Say of a whole table that it does not meet an expectation."""
    failure = CheckFailure(message, expectation.type, _only_column(expectation), table.num_rows)
    return Finding(expectation.severity, failure)


def to_report(table: pa.Table, suite: Suite, findings: Iterable[Finding]) -> Report:
    """Add findings up: critical ones fail rows or the batch, the others are warnings."""
    reasons: defaultdict[int, list[str]] = defaultdict(list)
    rows, batch, warnings = [], [], []
    for finding in findings:
        if finding.severity is not Severity.CRITICAL:
            warnings.append(finding.failure)
        elif finding.positions:
            rows.append(finding.failure)
            for position, reason in zip(finding.positions, finding.reasons, strict=True):
                reasons[position].append(reason)
        else:
            batch.append(finding.failure)
    return Report(
        suite=suite.name,
        suite_digest=suite.digest,
        rows=table.num_rows,
        row_failures=tuple(RowFailure(position, tuple(reasons[position])) for position in sorted(reasons)),
        row_checks=tuple(rows),
        batch_failures=tuple(batch),
        warnings=tuple(warnings),
    )


def _only_column(expectation: Expectation) -> str | None:
    return expectation.columns[0] if len(expectation.columns) == 1 else None
