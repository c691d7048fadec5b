"""One request and the answer to it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]

# In the scope of a request: whether the gate let it in. Who reads it lets it out again.
ADMITTED = "greenroom.admitted"
JSON = (b"content-type", b"application/json")


class Exchange:
    """A request, by the ASGI interface, and its answer.

    `began` is when it did, by `time.perf_counter`. `headers` and `request_id`, by which answers and logs call
    it, are empty until its head was read.
    """

    __slots__ = ("_receive", "_send", "began", "headers", "request_id", "scope")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.began = time.perf_counter()
        self.scope, self._receive, self._send = scope, receive, send
        self.headers: Mapping[bytes, bytes] = {}
        self.request_id = b""

    @property
    def content_type(self) -> str:
        """What the request says that its body is."""
        return self.headers.get(b"content-type", b"").decode("latin-1")

    async def receive(self) -> dict[str, Any]:
        """Return the next of what its client sends: part of a body, or that it went away."""
        return await self._receive()

    async def answer(self, status: int, head: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
        """Send the answer. `head` says nothing of its length."""
        whole = [*head, (b"content-length", str(len(body)).encode())]
        await self._send({"type": "http.response.start", "status": status, "headers": whole})
        await self._send({"type": "http.response.body", "body": body})
