"""Inspectors: a suite made ready for a stream of batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from expectations.findings import row_finding, shape_findings, to_report
from expectations.report import EXAMPLES_PER_CHECK
from expectations.streaming.columns import Columns
from expectations.streaming.counting import count
from expectations.streaming.forms import Role, role_of
from expectations.streaming.kernels import failing
from expectations.streaming.refusals import refuse_unmergeable
from expectations.streaming.tally import CheckTally, Tally, first_examples, refuse_other_suite
from expectations.streaming.verdicts import judge

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from expectations.findings import Finding
    from expectations.report import Report, RowFailure
    from expectations.suite import Expectation, Suite


@dataclass(frozen=True)
class Inspection:
    """What a suite says of one batch: its unfit rows, by position in the batch, and what adds up."""

    row_failures: tuple[RowFailure, ...]
    tally: Tally


@dataclass(frozen=True)
class Inspector:
    """A suite, and how each of its expectations is evaluated in a stream; threads may share one.

    Great Expectations is the definition: what is said here is what `check` says of all rows at once. It is
    imported only where an expectation, or the type of a column, is not known to the kernels; that is
    slower by far.
    """

    suite: Suite
    roles: tuple[Role, ...]

    @classmethod
    def of(cls, suite: Suite) -> Inspector:
        """Make a suite ready.

        Raises `SuiteError` for what `check` would refuse in it, and for an expectation on all rows at once
        that cannot be told from what batches add up to, as a median.
        """
        roles = (
            role_of(expectation) or _reference(suite, position)
            for position, expectation in enumerate(suite.expectations)
        )
        return cls(suite, tuple(roles))

    @property
    def unique(self) -> tuple[Expectation, ...]:
        """The expectations that the values of their columns, taken together, are in one row only.

        No batch shows that, so it is for the caller to find repeated values (a row without any of them is
        passed over), to say so by `repeated_reason`, and to count them by `repeated`.
        """
        pairs = zip(self.suite.expectations, self.roles, strict=True)
        return tuple(expectation for expectation, role in pairs if role is Role.UNIQUE)

    @property
    def empty(self) -> Tally:
        """What no rows say: merged with any tally of the suite, it changes nothing."""
        return self._tally(0, 0, frozenset(), [CheckTally()] * len(self.roles))

    def rows(self, table: pa.Table, *, as_doubles: bool = False) -> Inspection:
        """Inspect one batch (its column names matter, not their order).

        With `as_doubles`, the same is said as if all columns of float32 were cast to doubles before.

        The rows and sentences are those that `check` gives for these rows, but for uniqueness. A batch
        with two columns of one name is not looked into, and an expectation on a column that is missing is
        passed over; `conclude` says so.

        Raises `UnreadableError` if the type of a column that is asked about cannot be checked at all.
        """
        names = tuple(table.column_names)
        checks = [CheckTally()] * len(self.roles)
        findings: list[Finding] = []
        if table.num_rows and len(set(names)) == len(names):
            columns = Columns(table, as_doubles)
            for position, expectation in enumerate(self.suite.expectations):
                if set(expectation.columns) <= set(names):
                    checks[position], found = self._inspect(position, columns)
                    findings += found
        failures = to_report(table.num_rows, self.suite, findings).row_failures
        return Inspection(failures, self._tally(table.num_rows, len(failures), frozenset([names]), checks))

    def repeated(self, expectation: Expectation, rows: int, examples: Sequence[str] = ()) -> Tally:
        """Count rows whose values are in other rows too, for one of `unique`; merge it with the rest."""
        checks = [
            CheckTally(unexpected=rows, examples=first_examples(examples))
            if each == expectation
            else CheckTally()
            for each in self.suite.expectations
        ]
        return self._tally(0, 0, frozenset(), checks)

    def conclude(self, tally: Tally) -> Report:
        """Say what the suite finds in all rows, from their merged tally.

        The report's `row_failures` are empty: they were given with each batch. Raises `SuiteError` where
        the tally is of another suite.
        """
        refuse_other_suite(self.suite.digest, tally.suite_digest)
        layouts = sorted(tally.columns) or [()]
        shape: list[Finding] = []
        for names in layouts:
            for finding in shape_findings(names, tally.rows, self.suite):
                # Where nothing was read, no column is missing.
                if finding not in shape and (tally.columns or finding.failure.column is None):
                    shape.append(finding)
        if tally.rows == 0 or any(len(set(names)) < len(names) for names in layouts):
            return to_report(tally.rows, self.suite, shape)
        findings: list[Finding] = []
        for expectation, role, check in zip(self.suite.expectations, self.roles, tally.checks, strict=True):
            for names in layouts:
                found = judge(expectation, role, check, tally.rows, names)
                if set(expectation.columns) <= set(names) and found:
                    findings += found
                    break
        return to_report(tally.rows, self.suite, [*shape, *findings])

    def _inspect(self, position: int, columns: Columns) -> tuple[CheckTally, list[Finding]]:
        expectation, role = self.suite.expectations[position], self.roles[position]
        if role is Role.WHOLE:
            return count(expectation, columns), []
        if role is Role.UNIQUE:
            return CheckTally(considered=_any_present(expectation, columns)), []
        known = failing(expectation, columns) if role is Role.ROWS else None
        if known is None:
            return self._ask_reference(position, columns)
        mask, considered = known
        return _of_rows(expectation, columns, np.flatnonzero(mask).tolist(), considered)

    def _ask_reference(self, position: int, columns: Columns) -> tuple[CheckTally, list[Finding]]:
        from expectations.checks import observe

        found = observe(columns.to_table(), self.suite, position)
        if found.trouble is not None:
            return CheckTally(found.considered, trouble=found.trouble), []
        return _of_rows(self.suite.expectations[position], columns, found.positions, found.considered)

    def _tally(
        self, rows: int, failed: int, names: frozenset[tuple[str, ...]], checks: Sequence[CheckTally]
    ) -> Tally:
        return Tally(self.suite.digest, rows, failed, names, tuple(checks))


def _reference(suite: Suite, position: int) -> Role:
    """Ask Great Expectations whether it knows an expectation that the kernels do not, and is on rows."""
    from expectations.checks import declare, is_on_rows

    declare(suite, position)
    refuse_unmergeable(suite, position, on_rows=is_on_rows(suite.expectations[position].type))
    return Role.REFERENCE


def _of_rows(
    expectation: Expectation, columns: Columns, positions: Sequence[int], considered: int
) -> tuple[CheckTally, list[Finding]]:
    if not positions:
        return CheckTally(considered), []
    finding = row_finding(expectation, columns.to_table(expectation.columns), positions)
    examples = first_examples(finding.reasons[:EXAMPLES_PER_CHECK])
    return CheckTally(considered, len(positions), examples), [finding]


def _any_present(expectation: Expectation, columns: Columns) -> int:
    masks = [columns.missing(name) for name in expectation.columns]
    present = [mask for mask in masks if mask is not None]
    if len(present) < len(masks):
        return int(columns.table.num_rows)
    return int(columns.table.num_rows - np.count_nonzero(np.logical_and.reduce(present)))
