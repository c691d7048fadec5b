"""Results of splits that were never scored, for what is decided from their counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batch_jobs.results import SplitResult
from expectations import Tally

if TYPE_CHECKING:
    from collections.abc import Mapping

NOTHING = Tally("", 0, 0, frozenset(), ())


def result(
    scored: int,
    quarantined: int,
    reasons: Mapping[str, int] | None = None,
    first_bad: str | None = None,
) -> SplitResult:
    """Return a result with such counts, without parts."""
    return SplitResult((), scored, quarantined, reasons or {}, first_bad, NOTHING, NOTHING)
