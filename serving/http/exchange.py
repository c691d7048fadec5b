"""One request and the answer to it.

An ASGI server is told a head and a body, and sends each: two system calls, and a client that wakes twice. An
answer here is known when it begins, so it is written at once.
"""

from __future__ import annotations

import time
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from serving.http.gate import Gate

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[dict[str, Any]]]

# In the scope of a request: whether the gate let it in, and uvicorn's side of it. Who reads the first lets it
# out again; who reads the second takes it out, or each would hold the other until the collector comes.
ADMITTED, CYCLE = "greenroom.admitted", "greenroom.cycle"
# In the scope as well: bytes that arrived together, with which the request may begin.
DATA = "greenroom.data"
JSON = (b"content-type", b"application/json")


class Exchange:
    """A request, as the protocol hands it over, and its answer.

    `began` is when it did, by `time.perf_counter`. `headers` and `request_id`, by which answers and logs call
    it, are empty until its head was read. `data` is what arrived together with it, if anything may be learned
    from that. While the worker drains, its client is to come back elsewhere.
    """

    __slots__ = ("_cycle", "_gate", "_receive", "began", "data", "headers", "request_id", "scope")

    def __init__(self, scope: Scope, receive: Receive, gate: Gate) -> None:
        self.began = time.perf_counter()
        self.scope, self._receive, self._gate = scope, receive, gate
        self._cycle: RequestResponseCycle = scope.pop(CYCLE)
        self.data: bytes | None = scope.pop(DATA, None)
        self.headers: Mapping[bytes, bytes] = {}
        self.request_id = b""

    @property
    def content_type(self) -> str:
        """What the request says that its body is."""
        return self.headers.get(b"content-type", b"").decode("latin-1")

    async def receive(self) -> dict[str, Any]:
        """Return the next of what its client sends: part of a body, or that it went away."""
        return await self._receive()

    @property
    def is_kept(self) -> bool:
        """Whether its connection stays open after it."""
        return self._cycle.keep_alive

    @property
    def is_answered(self) -> bool:
        """Whether its answer was begun with."""
        return self._cycle.response_started

    def close(self) -> None:
        """Close the connection."""
        self._cycle.transport.close()

    async def answer(self, status: int, head: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
        """Write the answer, once. `head` says nothing of its length."""
        cycle = self._cycle
        if cycle.flow.write_paused and not cycle.disconnected:
            await cycle.flow.drain()  # its client has not yet read the answers before
        if cycle.disconnected:
            return
        if cycle.response_started:
            raise RuntimeError("a request is answered a second time")
        if self._gate.is_draining:
            cycle.keep_alive = False
        if not cycle.keep_alive:
            head = [(b"connection", b"close"), *head]
        whole = b"%bcontent-length: %d\r\n\r\n%b" % (
            opening(status, (*cycle.default_headers, *head)),
            len(body),
            b"" if self.scope["method"] == "HEAD" else body,
        )
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.transport.write(whole)
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()


def answered_by(name: str, version: int) -> list[tuple[bytes, bytes]]:
    """Return how the head of an answer begins that a version of a model gives."""
    return [JSON, (b"x-model-name", name.encode()), (b"x-model-version", str(version).encode())]


def opening(status: int, head: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Write how an answer begins, all but its length. Raises `ValueError` for a header of two lines."""
    said = [_status_line(status)]
    for name, value in head:
        if b"\r" in value or b"\n" in value:
            raise ValueError(f"the header {name!r} of an answer would be more than one line")
        said += name, b": ", value, b"\r\n"
    return b"".join(said)


@cache
def _status_line(status: int) -> bytes:
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()
