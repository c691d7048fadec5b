"""The ASGI application of one worker: which route, who may ask, and one answer for each request."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from serving.contract.answers import write_refusal
from serving.contract.outcome_bodies import read_outcomes
from serving.contract.refusals import RequestError
from serving.http import rejections
from serving.http.bodies import GoneError, receive_body, unzip
from serving.http.feedback import keep_feedback, spool_of
from serving.http.heads import read_headers, request_id_of
from serving.http.protocol import ADMITTED
from serving.http.rejections import RejectedError, reason_of
from serving.watching.tally import Reason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping

    from serving.contract.limits import Limits
    from serving.http.aside import Aside
    from serving.http.gate import Gate
    from serving.http.heads import Doorkeeper
    from serving.http.pages import Page, Pages
    from serving.http.routing import Routed, Routing
    from serving.http.stage import Stage
    from serving.models.served import Answer, ServedModel
    from serving.settings import Settings
    from serving.watching.tally import WorkerTally

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]
    Respond = Callable[[int, Scope, Mapping[bytes, bytes], Receive, Send, "_Asker"], Awaitable[None]]

_LOG = logging.getLogger("serving")
_JSON = (b"content-type", b"application/json")
# A page brings its style and nothing else: whatever a model's columns are called, it runs nothing.
_PAGE_HEADERS = (
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
)
# A body up to this is read between two other requests: a millisecond. A larger one beside them, in a thread.
_QUICK_BYTES = 64 * 1024
# One up to this is nothing at all. Larger ones take turns, and every so often the event loop hears who else
# asks: a crowd of them would keep a probe from being answered until all are.
_LIGHT_BYTES, _HEAR_EVERY_S = 4 * 1024, 0.005
_POST, _GET = frozenset({"POST"}), frozenset({"GET", "HEAD"})


class _Asker(NamedTuple):
    """How a request is called in answers and logs, and when it began, by `time.perf_counter`."""

    request_id: bytes
    began: float


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
        self._settings, self._limits = settings, settings.limits
        self._stage, self._doorkeeper, self._gate, self._aside = stage, doorkeeper, gate, aside
        self._tally, self._pages = tally, pages
        self._turn, self._worked_s = asyncio.Lock(), 0.0
        self.is_draining = False
        self._scored = {f"/models/{s.name}/invocations": n for n, s in enumerate(stage.standings)}
        self._scored["/invocations"] = 0
        self._told = {f"/models/{s.name}/feedback": n for n, s in enumerate(stage.standings)}
        self._told["/feedback"] = 0
        self._answer_headers: dict[tuple[int, int], list[tuple[bytes, bytes]]] = {}
        self._prefix, self._asked = os.urandom(6).hex(), 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, by the ASGI interface."""
        model = self._scored.get(scope["path"])
        self._tally.enter()
        try:
            if model is not None:
                await self._respond(self._predict, model, scope, receive, send)
            elif (told := self._told.get(scope["path"])) is not None:
                await self._respond(self._remember, told, scope, receive, send)
            else:
                await self._look_up(scope, send)
        except GoneError:
            self._tally.rejected(Reason.SLOW_CLIENT)
        finally:
            self._tally.leave()
            if scope.get(ADMITTED):
                self._gate.leave()

    async def _respond(
        self, respond: Respond, model: int, scope: Scope, receive: Receive, send: Send
    ) -> None:
        began = time.perf_counter()
        counted = model if respond == self._predict else None
        request_id = b""
        try:
            headers = read_headers(scope["headers"])
            request_id = request_id_of(headers) or self._next_id()
            await respond(model, scope, headers, receive, send, _Asker(request_id, began))
        except RequestError as refusal:
            await self._refuse(counted, refusal, request_id or self._next_id(), began, send)
        except GoneError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever a model raises, its client gets an answer
            # Its message may repeat what was asked; the log takes its type and its place.
            _LOG.error("failed over request %s", request_id.decode(), exc_info=error)
            await self._refuse(counted, rejections.broken(), request_id, began, send)

    async def _predict(
        self,
        model: int,
        scope: Scope,
        headers: Mapping[bytes, bytes],
        receive: Receive,
        send: Send,
        asker: _Asker,
    ) -> None:
        _check_method(scope, _POST)
        self._doorkeeper.check(headers)
        standing = self._stage.standings[model]
        served = standing.serves
        if served is None:
            raise rejections.not_ready(standing.name, standing.why_not)
        body = await self._receive(headers, receive, asker, scope)
        arrived = time.perf_counter()
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        routed = None
        if standing.routing is not None:
            routed = await self._route(standing.routing, headers, content_type, body, asker, scope)
            served = routed.take(served)
        try:
            answer, parsed, arrived = await self._answer(served, content_type, body, asker, scope, arrived)
        except Exception as error:
            if routed is not None:
                routed.fail(error)
            raise
        predicted = time.perf_counter()
        head = [*self._head_of(model, served.version.number), (b"x-request-id", asker.request_id)]
        if routed is not None:
            head += routed.headers
        if self.is_draining:
            head.append((b"connection", b"close"))  # its client is to come back elsewhere
        await _send(send, 200, head, answer.body)
        if routed is not None:
            routed.finish(answer, predicted)
        total_s = time.perf_counter() - asker.began
        steps_s = (arrived - asker.began, parsed - arrived, predicted - parsed, total_s)
        self._tally.answered(model, 200, answer.rows, *steps_s)
        if standing.serves is served:  # else it was swapped meanwhile, and the count is another version's
            self._tally.predicted(model, answer.rows)

    async def _remember(
        self,
        model: int,
        scope: Scope,
        headers: Mapping[bytes, bytes],
        receive: Receive,
        send: Send,
        asker: _Asker,
    ) -> None:
        """Take what a client says of answers it was given."""
        _check_method(scope, _POST)
        self._doorkeeper.check(headers)
        spool = spool_of(self._stage.standings[model])
        body = await self._receive(headers, receive, asker, scope)
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        given = (content_type, body, self._settings.max_rows)
        if len(body) <= _QUICK_BYTES:
            outcomes = read_outcomes(*given)
        else:
            outcomes = await self._aside.run(read_outcomes, given, asker.began, scope)
        said = keep_feedback(spool, outcomes, time.time())
        await _send(send, 202, [_JSON, (b"x-request-id", asker.request_id)], said)

    async def _receive(
        self, headers: Mapping[bytes, bytes], receive: Receive, asker: _Asker, scope: Scope
    ) -> bytes:
        most = self._settings.max_body_bytes
        body = await receive_body(receive, headers, most, self._gate)
        if scope.get(ADMITTED) is False:
            raise rejections.overloaded(self._gate.most_waiting)
        encoding = headers.get(b"content-encoding")
        if encoding is None:
            return body
        return await self._aside.run(unzip, (body, encoding, most), asker.began, scope)

    async def _route(
        self,
        routing: Routing,
        headers: Mapping[bytes, bytes],
        content_type: str,
        body: bytes,
        asker: _Asker,
        scope: Scope,
    ) -> Routed:
        given = (headers, content_type, body)
        if routing.reads_bodies and len(body) > _QUICK_BYTES:
            entity = await self._aside.run(routing.entity_of, given, asker.began, scope)
        else:
            entity = routing.entity_of(*given)
        return routing.pick(entity, content_type, body)

    async def _answer(
        self,
        served: ServedModel,
        content_type: str,
        body: bytes,
        asker: _Asker,
        scope: Scope,
        arrived: float,
    ) -> tuple[Answer, float, float]:
        """Return the answer, when its request was read, and when it was begun with."""
        given = (content_type, body, self._limits)
        if len(body) <= _LIGHT_BYTES:
            asked, parsed, answer = _between_two(served, given)
        elif len(body) <= _QUICK_BYTES:
            async with self._turn:
                arrived = time.perf_counter()
                asked, parsed, answer = _between_two(served, given)
                self._worked_s += time.perf_counter() - arrived
                if self._worked_s > _HEAR_EVERY_S and self._gate.waiting > 1:
                    # Those whose turn would be next wait, and the event loop hears who else asks.
                    await asyncio.sleep(0)
                    self._worked_s = 0.0
        else:
            asked = await self._aside.run(served.read, given, asker.began, scope)
            parsed, answer = time.perf_counter(), None
        if answer is None:
            answer = await self._aside.run(served.answer, (asked,), asker.began, scope)
        return answer, parsed, arrived

    async def _look_up(self, scope: Scope, send: Send) -> None:
        request_id = b""
        try:
            headers = read_headers(scope["headers"])
            request_id = request_id_of(headers) or self._next_id()
            status, kind, body = self._page(scope, headers)
        except RequestError as refusal:
            await self._refuse(None, refusal, request_id or self._next_id(), 0.0, send)
        except Exception as error:  # noqa: BLE001  # a page that fails is answered, too
            _LOG.error("failed over request %s", request_id.decode(), exc_info=error)
            await self._refuse(None, rejections.broken(), request_id, 0.0, send)
        else:
            await _send(send, status, [(b"content-type", kind.encode()), *_PAGE_HEADERS], body)

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

    async def _refuse(
        self, model: int | None, refusal: RequestError, request_id: bytes, began: float, send: Send
    ) -> None:
        body = write_refusal(refusal, request_id.decode())
        head = [_JSON, (b"x-request-id", request_id)]
        if isinstance(refusal, RejectedError):
            head += refusal.headers
        await _send(send, refusal.status, head, body)
        self._tally.rejected(reason_of(refusal))
        if model is not None:
            self._tally.answered(model, refusal.status, 0, 0, 0, 0, time.perf_counter() - began)

    def _head_of(self, model: int, version: int) -> list[tuple[bytes, bytes]]:
        found = self._answer_headers.get((model, version))
        if found is None:
            name = self._stage.standings[model].name.encode()
            found = [_JSON, (b"x-model-name", name), (b"x-model-version", str(version).encode())]
            self._answer_headers[model, version] = found
        return found

    def _next_id(self) -> bytes:
        self._asked += 1
        return f"{self._prefix}-{self._asked:x}".encode()


def _between_two(served: ServedModel, given: tuple[str, bytes, Limits]) -> tuple[Any, float, Answer | None]:
    """Read a request between two others, and answer it where that is quick; also return when it was read."""
    asked = served.read(*given)
    parsed = time.perf_counter()
    return asked, parsed, served.answer(asked) if served.is_quick(asked) else None


def _check_method(scope: Scope, methods: frozenset[str]) -> None:
    if scope["method"] not in methods:
        allowed = ", ".join(sorted(methods))
        head = [(b"allow", allowed.encode())]
        raise RejectedError(405, Reason.WRONG_METHOD, f"This address takes {allowed} only", head)


async def _send(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    head = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})
