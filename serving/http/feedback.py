"""What clients say of answers later: put where the exposures are, so that it is in a table soon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving.http.rejections import RejectedError
from serving.recording.exposure import Feedback
from serving.watching.tally import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serving.contract.outcome_bodies import Outcome
    from serving.http.stage import Standing
    from serving.recording.spool import Spool


def spool_of(standing: Standing) -> Spool:
    """Return where a model's feedback goes. Raises `RejectedError` where nothing is recorded of it."""
    spool = standing.routing.spool if standing.routing is not None else None
    if spool is None:
        raise RejectedError(
            404,
            Reason.UNKNOWN_PATH,
            f"Nothing is recorded of {standing.name} here; an operator says `record:` in its routes file",
        )
    return spool


def keep_feedback(spool: Spool, outcomes: Sequence[Outcome], now: float) -> bytes:
    """Keep what was said, all or nothing; return the answer. Raises `RejectedError` where there is no room.

    Whose prediction an id is of is not asked: the outcome may be here before the prediction is in its table.
    """
    said = [Feedback(each.prediction_id, each.row, each.outcome, now) for each in outcomes]
    if not spool.add_feedback(said):
        message = "There is no room for outcomes until those before them are in their table. Send them again"
        raise RejectedError(503, Reason.OVERLOAD, message, [(b"retry-after", b"30")])
    return b'{"accepted":%d}' % len(said)
