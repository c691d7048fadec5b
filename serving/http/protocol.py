"""Uvicorn's HTTP protocol, with the bounds that it leaves to others: time, size of heads, connections.

A request that is not whole in time is answered 408 and its connection closed, whether its head or its body
was slow. Whether a request is admitted is decided when it is whole, so that those that are still arriving
take nobody's place, and in the order in which they came, so that the last are turned away and not the first.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.contract.answers import write_refusal
from serving.http.exchange import ADMITTED, CYCLE
from serving.http.rejections import RejectedError
from serving.watching.tally import Reason

if TYPE_CHECKING:
    import asyncio

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from serving.http.gate import Gate
    from serving.settings import Settings
    from serving.watching.tally import WorkerTally

# As much as servers usually read of a head; uvicorn sets no bound on httptools.
_MOST_HEAD_BYTES = 32 * 1024
_WITHOUT_BODY = frozenset({b"GET", b"HEAD"})


class GuardedProtocol(HttpToolsProtocol):
    """One connection. `gate`, `settings` and `tally` are set on a subclass by the worker it belongs to."""

    gate: ClassVar[Gate]
    settings: ClassVar[Settings]
    tally: ClassVar[WorkerTally]

    # Of the request that is arriving: whether all of it is there, its head is, and how large that is so far.
    _is_whole = True
    _has_head = False
    _head_bytes = 0
    # Of the connection: whether a request began to arrive, and whether the head of one did.
    _has_begun = _has_cycle = False
    # Whether the connection is about to be closed, and what else comes is not read.
    _is_deaf = False
    _problem = 400, "The request is not HTTP as it has to be"
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, unless there are as many as may be."""
        super().connection_made(transport)
        if len(self.connections) > self.settings.max_connections:
            self._turn_away(503, Reason.OVERLOAD, "As many connections are open as may be")
            return
        # A connection that says nothing is as slow as one that says little.
        self._is_whole = False
        self._arm()

    def data_received(self, data: bytes) -> None:
        """Read what came, and start the clock of a request that is not whole."""
        if self._is_deaf:
            return
        super().data_received(data)
        if not self._is_whole and self._timer is None and not self._is_deaf:
            self._arm()
        if self._is_between() and self._has_begun:
            self._wait_for_more()  # it was nothing but blank lines

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the clock, and the requests that wait for the answer to the one before them."""
        self._disarm()
        for cycle, _ in self.pipeline:
            _forget(cycle)
            if cycle.scope.get(ADMITTED):
                self.gate.leave()
        self.pipeline.clear()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._is_whole = self._has_head = False
        self._has_begun = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Read of its first line."""
        self._grow_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Read a line of its head."""
        self._grow_head(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """End its head, and let the application begin."""
        upgrades = self.parser.should_upgrade()
        if upgrades and self.parser.get_method() not in _WITHOUT_BODY:
            self._fail(400, "This endpoint speaks HTTP/1.1 alone; ask it without Upgrade")
        super().on_headers_complete()
        self.scope[CYCLE] = self.cycle  # type: ignore[literal-required]
        self._has_head = self._has_cycle = True
        if upgrades or self.expect_100_continue:
            # What comes next could be of the protocol asked for, or the body that nobody waits for any more.
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """End a request, and let it in or not."""
        self._is_whole = True
        self._disarm()
        if not self.cycle.response_complete:
            self.scope[ADMITTED] = self.gate.admit()  # type: ignore[literal-required]
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request, or close where the next is not to be read."""
        is_last = not self.pipeline
        super().on_response_complete()
        if self._is_deaf and is_last:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # ours says more
        """Turn away what cannot be parsed; called by uvicorn for whatever is raised over it."""
        self._turn_away(self._problem[0], Reason.BAD_REQUEST, self._problem[1])

    def _grow_head(self, size_bytes: int) -> None:
        self._head_bytes += size_bytes
        if self._head_bytes > _MOST_HEAD_BYTES:
            self._fail(431, "The head of the request is too large")

    def _fail(self, status: int, message: str) -> NoReturn:
        """End the work of the parser, whereupon uvicorn calls `send_400_response`."""
        self._problem = status, message
        raise _UnreadableError

    def _arm(self) -> None:
        self._timer = self.loop.call_later(self.settings.read_timeout_s, self._give_up)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        if self._is_whole or self.transport.is_closing():
            return
        if not self._has_begun:
            self.transport.close()  # nothing was asked
            return
        if self.pipeline or not (self._has_head or self._is_next()):
            self._arm()  # it is slow because the one before it is not answered yet
            return
        within = f"{self.settings.read_timeout_s:g} s"
        self._turn_away(408, Reason.SLOW_CLIENT, f"The request was not whole within {within}")

    def _wait_for_more(self) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def _is_between(self) -> bool:
        """Whether the next byte is the first of a request, whose answer is the next to be written."""
        if self._has_begun and not self._is_whole:
            return False
        if self._has_cycle and not self.cycle.response_complete:
            return False
        return not (self.pipeline or self._is_deaf or self.transport.is_closing())

    def _is_next(self) -> bool:
        """Whether what is written now is the answer to the request that is arriving, and to no other."""
        if self.pipeline:
            return False
        if self._has_head:
            return not self.cycle.response_started
        return not self._has_cycle or self.cycle.response_complete

    def _turn_away(self, status: int, reason: Reason, message: str) -> None:
        self._is_deaf = True
        self._disarm()
        if not self._has_head:  # otherwise the application counts it, which finds its client gone
            self.tally.rejected(reason)
        if self._is_next():
            self.transport.write(_answer(RejectedError(status, reason, message)))
        elif self.pipeline or not self._has_head:
            # Others are to be answered first, for whom this would be taken: it gets no answer but the end.
            if self._has_head:
                _forget(self.pipeline.popleft()[0])
            return
        self.transport.close()


def _forget(cycle: RequestResponseCycle) -> None:
    """Let go of a request that is never begun with."""
    cycle.scope.pop(CYCLE, None)  # type: ignore[misc]  # a key of ours


class _UnreadableError(Exception):
    """A request is not to be read any further."""


def _answer(refusal: RejectedError) -> bytes:
    body = write_refusal(refusal, "")
    again = "retry-after: 1\r\n" if refusal.status == HTTPStatus.SERVICE_UNAVAILABLE else ""
    head = (
        f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n{again}connection: close\r\n\r\n"
    )
    return head.encode() + body


def guarded(gate: Gate, settings: Settings, tally: WorkerTally) -> type[GuardedProtocol]:
    """Return the protocol of one worker."""
    members: dict[str, Any] = {"gate": gate, "settings": settings, "tally": tally}
    return type("WorkerProtocol", (GuardedProtocol,), members)
