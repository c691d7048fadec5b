"""The application of one worker: which route, who may ask, and one answer for each request."""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING

from serving.contract.answers import write_refusal
from serving.contract.refusals import RequestError
from serving.http import rejections
from serving.http.bodies import GoneError, Intake
from serving.http.exchange import ADMITTED, JSON, Exchange
from serving.http.feedback import FeedbackTaker
from serving.http.heads import read_headers, request_id_of
from serving.http.rejections import RejectedError, reason_of
from serving.http.scoring import Scoring
from serving.http.shortcut import Shortcut
from serving.watching.tally import Reason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from serving.http.aside import Aside
    from serving.http.exchange import Receive, Scope
    from serving.http.gate import Gate
    from serving.http.heads import Doorkeeper
    from serving.http.pages import Page, Pages
    from serving.http.stage import Stage
    from serving.settings import Settings
    from serving.watching.tally import WorkerTally

    _Answers = Callable[[int, Exchange], Awaitable[None]]

_LOG = logging.getLogger("serving")
# A page brings its style and nothing else: whatever a model's columns are called, it runs nothing.
_PAGE_HEADERS = (
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
)
_POST, _GET = frozenset({"POST"}), frozenset({"GET", "HEAD"})


class Application:
    """Answers the requests of one worker."""

    def __init__(
        self,
        settings: Settings,
        stage: Stage,
        doorkeeper: Doorkeeper,
        gate: Gate,
        aside: Aside,
        tally: WorkerTally,
        pages: Pages,
    ) -> None:
        self._doorkeeper, self._gate, self._tally, self._pages = doorkeeper, gate, tally, pages
        intake = Intake(settings.max_body_bytes, gate, aside)
        self.shortcut = Shortcut(stage.standings, settings.limits, gate, tally, self._next_id)
        scoring = Scoring(stage.standings, settings.limits, intake, gate, aside, tally, self.shortcut)
        feedback = FeedbackTaker(stage.standings, intake, aside, settings.max_rows)
        self._scored = {f"/models/{s.name}/invocations": n for n, s in enumerate(stage.standings)}
        self._scored["/invocations"] = 0
        told = {f"/models/{s.name}/feedback": n for n, s in enumerate(stage.standings)}
        told["/feedback"] = 0
        # What is posted, by its path: who answers it, and about which model.
        self._posted: dict[str, tuple[_Answers, int]] = {
            **{path: (scoring.answer, model) for path, model in self._scored.items()},
            **{path: (feedback.take, model) for path, model in told.items()},
        }
        self._prefix, self._asked = os.urandom(6).hex(), 0

    async def __call__(self, scope: Scope, receive: Receive, _: object) -> None:
        """Answer one request, by the ASGI interface but for how it is sent: `Exchange` does that."""
        exchange = Exchange(scope, receive, self._gate)
        self._tally.enter()
        try:
            await self._answer(exchange)
        except RequestError as refusal:
            await self._refuse(exchange, refusal)
        except GoneError:
            self._tally.rejected(Reason.SLOW_CLIENT)
        except Exception as error:  # noqa: BLE001  # whatever a model raises, its client gets an answer
            # Its message may repeat what was asked; the log takes its type and its place.
            exchange.request_id = exchange.request_id or self._next_id()
            _LOG.error("failed over request %s", exchange.request_id.decode(), exc_info=error)
            if exchange.is_answered:
                exchange.close()  # another answer would be taken for that of the next request
            else:
                await self._refuse(exchange, rejections.broken())
        finally:
            self._tally.leave()
            if scope.get(ADMITTED):
                self._gate.leave()

    async def _answer(self, exchange: Exchange) -> None:
        scope = exchange.scope
        exchange.headers = headers = read_headers(scope["headers"])
        exchange.request_id = request_id_of(headers) or self._next_id()
        posted = self._posted.get(scope["path"])
        if posted is not None:
            _check_method(scope, _POST)
            self._doorkeeper.check(headers)
            answers, model = posted
            await answers(model, exchange)
        else:
            status, kind, body = self._page(scope, headers)
            await exchange.answer(status, [(b"content-type", kind.encode()), *_PAGE_HEADERS], body)

    def _page(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Page:
        route = self._pages.find(scope["path"])
        if route is None:
            raise RejectedError(
                404, Reason.UNKNOWN_PATH, "There is nothing here; see /docs for what there is"
            )
        if route.is_for_probes:
            self._doorkeeper.check_host(headers)
        else:
            self._doorkeeper.check(headers)
        _check_method(scope, _GET)
        return route.write(headers.get(b"accept", b"").decode("latin-1"))

    async def _refuse(self, exchange: Exchange, refusal: RequestError) -> None:
        request_id = exchange.request_id or self._next_id()
        head = [JSON, (b"x-request-id", request_id)]
        if isinstance(refusal, RejectedError):
            head += refusal.headers
        await exchange.answer(refusal.status, head, write_refusal(refusal, request_id.decode()))
        self._tally.rejected(reason_of(refusal))
        model = self._scored.get(exchange.scope["path"])
        if model is not None:
            took_s = time.perf_counter() - exchange.began
            self._tally.answered(model, refusal.status, 0, 0, 0, 0, took_s)

    def _next_id(self) -> bytes:
        self._asked += 1
        return f"{self._prefix}-{self._asked:x}".encode()


def _check_method(scope: Scope, methods: frozenset[str]) -> None:
    if scope["method"] not in methods:
        allowed = ", ".join(sorted(methods))
        head = [(b"allow", allowed.encode())]
        raise RejectedError(405, Reason.WRONG_METHOD, f"This address takes {allowed} only", head)
