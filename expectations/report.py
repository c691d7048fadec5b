"""Reports: what a check found, row by row and for the batch, and how to print it in bounded space."""

from __future__ import annotations

from dataclasses import dataclass

EXAMPLES_PER_CHECK = 3
_CHECKS_PER_SECTION = 40


@dataclass(frozen=True, slots=True)
class RowFailure:
    """A row that is unfit: its position in the table (from 0) and one sentence per reason."""

    position: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CheckFailure:
    """A check that failed: one sentence, the expectation's type, its column, the rows concerned.

    `examples` holds a few of the rows' own sentences, where the failure lies in rows.
    """

    message: str
    check: str
    column: str | None
    count: int
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What one suite says of one table.

    `row_failures` (ascending positions) are to be quarantined, `batch_failures` stop the job,
    `warnings` are for people. `row_checks` sums `row_failures` up, one entry per expectation. Where rows
    were checked batch by batch, their failures were given with each batch, and only `row_checks` is here.
    """

    suite: str
    suite_digest: str
    rows: int
    row_failures: tuple[RowFailure, ...]
    row_checks: tuple[CheckFailure, ...]
    batch_failures: tuple[CheckFailure, ...]
    warnings: tuple[CheckFailure, ...]

    @property
    def is_fit(self) -> bool:
        """Whether every row and the batch met every critical expectation."""
        return not self.row_checks and not self.batch_failures


def render(report: Report) -> str:
    """Print a report for people, in a length bounded by the suite and never by the data."""
    lines = [f"{report.suite} ({report.suite_digest[:12]}): {_verdict(report)}"]
    lines += _section("batch failures", report.batch_failures)
    lines += _section("row failures", report.row_checks)
    lines += _section("warnings", report.warnings)
    return "\n".join(lines)


def _verdict(report: Report) -> str:
    rows = f"{report.rows:,} rows"
    if report.is_fit:
        return f"fit, {rows} checked"
    parts = []
    if report.batch_failures:
        checks = len(report.batch_failures)
        parts.append(f"the batch fails {checks} {'check' if checks == 1 else 'checks'}")
    if report.row_failures:
        parts.append(f"{len(report.row_failures):,} of {rows} fail")
    elif report.row_checks:
        # Which rows fail several checks is not known any more.
        parts.append(f"at least {max(check.count for check in report.row_checks):,} of {rows} fail")
    return f"unfit, {' and '.join(parts)}"


def _section(title: str, failures: tuple[CheckFailure, ...]) -> list[str]:
    if not failures:
        return []
    lines = [f"  {title}:"]
    for failure in failures[:_CHECKS_PER_SECTION]:
        lines.append(f"    {failure.message}")
        lines += [f"      {example}" for example in failure.examples]
        if failure.examples and failure.count > len(failure.examples):
            lines.append(f"      … and {failure.count - len(failure.examples):,} more rows")
    if len(failures) > _CHECKS_PER_SECTION:
        lines.append(f"    … and {len(failures) - _CHECKS_PER_SECTION:,} more checks")
    return lines
