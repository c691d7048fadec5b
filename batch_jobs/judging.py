"""Judging: whether a day as a whole is to be published, once all of its rows were seen. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batch_jobs.errors import JobError, UnfitDataError
from expectations import render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batch_jobs.job import BatchJob
    from batch_jobs.mending.repairs import Repairs
    from batch_jobs.results import SplitResult
    from batch_jobs.scoring import Rules


def judge(job: BatchJob, rules: Rules, found: SplitResult, before: Sequence[int]) -> tuple[str, ...]:
    """Return what to warn of. Raises `UnfitDataError` where the day as a whole is not to be published."""
    warnings = []
    for inspector, tally in ((rules.input, found.input), (rules.predictions, found.predictions)):
        if tally.rows == 0:
            continue  # the limits have more to say of that
        report = inspector.conclude(tally)
        if report.batch_failures:
            raise UnfitDataError(f"The batch is unfit, and nothing is published. {render(report)}")
        warnings += [failure.message for failure in report.warnings]
    return (*warnings, *job.limits.judge(found, before))


def refuse_unmet(repairs: Repairs, found: SplitResult) -> None:
    """Raise `JobError` where a repaired row was not met in the input."""
    if found.repaired != len(repairs):
        raise JobError(
            f"There are {len(repairs):,} repaired rows, and {found.repaired:,} of them were met in the input."
            " Nothing is published; this is a fault of ours, please report it"
        )
