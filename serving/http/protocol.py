"""Uvicorn's HTTP protocol, with the bounds that it leaves to others: time, size of heads, connections.

A request that is not whole in time is answered 408 and its connection closed, whether its head or its body
was slow. Whether a request is admitted is decided when it is whole, so that those that are still arriving
take nobody's place, and in the order in which they came, so that the last are turned away and not the first.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.contract.answers import write_refusal
from serving.http.rejections import RejectedError
from serving.watching.tally import Reason

if TYPE_CHECKING:
    import asyncio

    from serving.http.gate import Gate
    from serving.settings import Settings
    from serving.watching.tally import WorkerTally

# In the scope of a request: whether the gate let it in. Who reads it lets it out again.
ADMITTED = "greenroom.admitted"
# As much as servers usually read of a head; uvicorn sets no bound on httptools.
_MOST_HEAD_BYTES = 32 * 1024


class GuardedProtocol(HttpToolsProtocol):
    """One connection. `gate`, `settings` and `tally` are set on a subclass by the worker it belongs to."""

    gate: ClassVar[Gate]
    settings: ClassVar[Settings]
    tally: ClassVar[WorkerTally]

    _is_whole = True
    _head_bytes = 0
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
        super().data_received(data)
        if self._is_whole:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        elif self._timer is None:
            self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the clock."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._is_whole = False
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

    def on_message_complete(self) -> None:
        """End a request, and let it in or not."""
        self._is_whole = True
        if not self.cycle.response_complete:
            self.scope[ADMITTED] = self.gate.admit()  # type: ignore[literal-required]
        super().on_message_complete()

    def _grow_head(self, size_bytes: int) -> None:
        self._head_bytes += size_bytes
        if self._head_bytes > _MOST_HEAD_BYTES and not self.transport.is_closing():
            self._turn_away(431, Reason.BAD_REQUEST, "The head of the request is too large")

    def _arm(self) -> None:
        self._timer = self.loop.call_later(self.settings.read_timeout_s, self._give_up)

    def _give_up(self) -> None:
        self._timer = None
        if self._is_whole or self.transport.is_closing():
            return
        within = f"{self.settings.read_timeout_s:g} s"
        self._turn_away(408, Reason.SLOW_CLIENT, f"The request was not whole within {within}")

    def _turn_away(self, status: int, reason: Reason, message: str) -> None:
        self.tally.rejected(reason)
        body = write_refusal(RejectedError(status, reason, message), "")
        phrase = HTTPStatus(status).phrase
        head = (
            f"HTTP/1.1 {status} {phrase}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


def guarded(gate: Gate, settings: Settings, tally: WorkerTally) -> type[GuardedProtocol]:
    """Return the protocol of one worker."""
    members: dict[str, Any] = {"gate": gate, "settings": settings, "tally": tally}
    return type("WorkerProtocol", (GuardedProtocol,), members)
