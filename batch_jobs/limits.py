"""Limits: what is too much for a day to be published, or enough to warn of. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from batch_jobs.errors import UnfitDataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from batch_jobs.results import SplitResult

_REASONS_SHOWN = 5
# So many days before are enough to say what is usual.
_LEAST_DAYS = 3


@dataclass(frozen=True)
class Band:
    """What a figure may be, both ends included.

    Outside `warn` people are told, outside `stop` nothing is published.
    """

    warn: tuple[float, float]
    stop: tuple[float, float]


@dataclass(frozen=True)
class Limits:
    """Limits on the share of rows set aside, and on the rows of a day, in multiples of the usual."""

    quarantined_share: Band
    usual_rows: Band | None = None

    def judge(self, found: SplitResult, rows_before: Sequence[int]) -> tuple[str, ...]:
        """Return what to warn of. Raises `UnfitDataError` where the day is not to be published.

        `rows_before` are the rows of days before.
        """
        if found.rows == 0:
            raise UnfitDataError("The input holds 0 rows, expected at least 1. Nothing is published")
        return (*self._judge_share(found), *self._judge_rows(found.rows, rows_before))

    def _judge_share(self, found: SplitResult) -> Iterator[str]:
        share, band = found.quarantined / found.rows, self.quarantined_share
        said = f"{found.quarantined:,} of {found.rows:,} rows are unfit ({share:.0%}), expected at most"
        worst = list(found.reasons.items())[:_REASONS_SHOWN]
        most = "; ".join(f"{count:,} rows: {reason}" for reason, count in worst)
        if share > band.stop[1] or found.scored == 0:
            raise UnfitDataError(
                f"{said} {band.stop[1]:.0%}; nothing is published. {most}. The first is at {found.first_bad}"
            )
        if share > band.warn[1]:
            yield f"{said} {band.warn[1]:.0%}. {most}"

    def _judge_rows(self, rows: int, before: Sequence[int]) -> Iterator[str]:
        if self.usual_rows is None or len(before) < _LEAST_DAYS:
            return
        usual = median(before)
        said = f"{rows:,} rows, where {usual:,.0f} are usual (the median of {len(before)} days before)"
        low, high = (usual * end for end in self.usual_rows.stop)
        if not low <= rows <= high:
            raise UnfitDataError(f"{said}; expected {low:,.0f} to {high:,.0f}. Nothing is published")
        low, high = (usual * end for end in self.usual_rows.warn)
        if not low <= rows <= high:
            yield f"{said}; expected {low:,.0f} to {high:,.0f}"
