"""What becomes of a request for predictions: who answers it, where, and how that is counted."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from serving.http import rejections
from serving.http.aside import QUICK_BYTES
from serving.http.exchange import answered_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serving.contract.limits import Limits
    from serving.http.aside import Aside
    from serving.http.bodies import Intake
    from serving.http.exchange import Exchange
    from serving.http.gate import Gate
    from serving.http.routing import Routed, Routing
    from serving.http.shortcut import Shortcut
    from serving.http.stage import Standing
    from serving.models.served import Answer, ServedModel
    from serving.watching.tally import WorkerTally

# A body up to this is nothing at all. Larger ones take turns, and every so often the event loop hears who
# else asks: a crowd of them would keep a probe from being answered until all are.
_LIGHT_BYTES, _HEAR_EVERY_S = 4 * 1024, 0.005


class Scoring:
    """Answers requests for predictions of the models that a worker has."""

    def __init__(
        self,
        standings: Sequence[Standing],
        limits: Limits,
        intake: Intake,
        gate: Gate,
        aside: Aside,
        tally: WorkerTally,
        shortcut: Shortcut,
    ) -> None:
        self._shortcut = shortcut
        self._standings, self._limits, self._intake = standings, limits, intake
        self._gate, self._aside, self._tally = gate, aside, tally
        self._turn, self._worked_s = asyncio.Lock(), 0.0
        self._heads: dict[tuple[int, int], list[tuple[bytes, bytes]]] = {}

    async def answer(self, model: int, exchange: Exchange) -> None:
        """Answer one request of a model. Raises `RequestError`, `GoneError`, and what the model raises."""
        standing = self._standings[model]
        served = standing.serves
        if served is None:
            raise rejections.not_ready(standing.name, standing.why_not)
        body = await self._intake.take(exchange)
        arrived = time.perf_counter()
        routed = None
        if standing.routing is not None:
            routed = await self._route(standing.routing, body, exchange)
            served = routed.take(served)
        try:
            answer, parsed, arrived, at_once = await self._predict(served, body, exchange, arrived)
        except Exception as error:
            if routed is not None:
                routed.fail(error)
            raise
        predicted = time.perf_counter()
        head = [*self._head_of(model, served.version.number), (b"x-request-id", exchange.request_id)]
        if routed is not None:
            head += routed.headers
        await exchange.answer(200, head, answer.body)
        if routed is not None:
            routed.finish(answer, predicted)
        elif at_once:
            self._shortcut.remember(exchange, model)
        total_s = time.perf_counter() - exchange.began
        steps_s = (arrived - exchange.began, parsed - arrived, predicted - parsed, total_s)
        self._tally.answered(model, 200, answer.rows, *steps_s)
        if standing.serves is served:  # else it was swapped meanwhile, and the count is another version's
            self._tally.predicted(model, answer.rows)

    async def _route(self, routing: Routing, body: bytes, exchange: Exchange) -> Routed:
        given = (exchange.headers, exchange.content_type, body)
        if routing.reads_bodies and len(body) > QUICK_BYTES:
            entity = await self._aside.run(routing.entity_of, given, exchange)
        else:
            entity = routing.entity_of(*given)
        return routing.pick(entity, exchange.content_type, body)

    async def _predict(
        self, served: ServedModel, body: bytes, exchange: Exchange, arrived: float
    ) -> tuple[Answer, float, float, bool]:
        """Return the answer, when its request was read, when it was begun with, and whether at once."""
        given = (exchange.content_type, body, self._limits)
        at_once = False
        if len(body) <= _LIGHT_BYTES:
            asked, parsed, answer = _between_two(served, given)
            at_once = answer is not None
        elif len(body) <= QUICK_BYTES:
            async with self._turn:
                arrived = time.perf_counter()
                asked, parsed, answer = _between_two(served, given)
                self._worked_s += time.perf_counter() - arrived
                if self._worked_s > _HEAR_EVERY_S and self._gate.waiting > 1:
                    # Those whose turn would be next wait, and the event loop hears who else asks.
                    await asyncio.sleep(0)
                    self._worked_s = 0.0
        else:
            asked = await self._aside.run(served.read, given, exchange)
            parsed, answer = time.perf_counter(), None
        if answer is None:
            answer = await self._aside.run(served.answer, (asked,), exchange)
        return answer, parsed, arrived, at_once

    def _head_of(self, model: int, version: int) -> list[tuple[bytes, bytes]]:
        found = self._heads.get((model, version))
        if found is None:
            found = self._heads[model, version] = answered_by(self._standings[model].name, version)
        return found


def _between_two(served: ServedModel, given: tuple[str, bytes, Limits]) -> tuple[Any, float, Answer | None]:
    """Read a request between two others, and answer it where that is quick; also return when it was read."""
    asked = served.read(*given)
    parsed = time.perf_counter()
    return asked, parsed, served.answer(asked) if served.is_quick(asked) else None
