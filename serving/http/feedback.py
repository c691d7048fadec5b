"""What clients say of answers later: put where the exposures are, so that it is in a table soon."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from serving.contract.outcome_bodies import read_outcomes
from serving.http.aside import QUICK_BYTES
from serving.http.exchange import JSON
from serving.http.rejections import RejectedError
from serving.recording.exposure import Feedback
from serving.watching.tally import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serving.contract.outcome_bodies import Outcome
    from serving.http.aside import Aside
    from serving.http.bodies import Intake
    from serving.http.exchange import Exchange
    from serving.http.stage import Standing
    from serving.recording.spool import Spool


class FeedbackTaker:
    """Takes what clients say of answers that they were given."""

    def __init__(self, standings: Sequence[Standing], intake: Intake, aside: Aside, max_rows: int) -> None:
        self._standings, self._intake, self._aside = standings, intake, aside
        self._max_rows = max_rows

    async def take(self, model: int, exchange: Exchange) -> None:
        """Answer one request about a model. Raises `RequestError` and `GoneError`."""
        spool = _spool_of(self._standings[model])
        body = await self._intake.take(exchange)
        given = (exchange.content_type, body, self._max_rows)
        if len(body) <= QUICK_BYTES:
            outcomes = read_outcomes(*given)
        else:
            outcomes = await self._aside.run(read_outcomes, given, exchange)
        said = _keep(spool, outcomes, time.time())
        await exchange.answer(202, [JSON, (b"x-request-id", exchange.request_id)], said)


def _spool_of(standing: Standing) -> Spool:
    """Return where a model's feedback goes. Raises `RejectedError` where nothing is recorded of it."""
    spool = standing.routing.spool if standing.routing is not None else None
    if spool is None:
        raise RejectedError(
            404,
            Reason.UNKNOWN_PATH,
            f"Nothing is recorded of {standing.name} here; an operator says `record:` in its routes file",
        )
    return spool


def _keep(spool: Spool, outcomes: Sequence[Outcome], now: float) -> bytes:
    """Keep what was said, all or nothing; return the answer. Raises `RejectedError` where there is no room.

    Whose prediction an id is of is not asked: the outcome may be here before the prediction is in its table.
    """
    said = [Feedback(each.prediction_id, each.row, each.outcome, now) for each in outcomes]
    if not spool.add_feedback(said):
        message = "There is no room for outcomes until those before them are in their table. Send them again"
        raise RejectedError(503, Reason.OVERLOAD, message, [(b"retry-after", b"30")])
    return b'{"accepted":%d}' % len(said)
