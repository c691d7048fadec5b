"""The body of a request: received within bounds, and unzipped within bounds."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from serving.contract.refusals import RequestError
from serving.http.exchange import ADMITTED
from serving.http.rejections import RejectedError, overloaded
from serving.watching.tally import Reason

if TYPE_CHECKING:
    from serving.http.aside import Aside
    from serving.http.exchange import Exchange
    from serving.http.gate import Gate

_GZIP = 16 + zlib.MAX_WBITS
_LENGTH_DIGITS = 18


class GoneError(Exception):
    """The client went away, or was sent away for being slow, before its request was whole."""


class Intake:
    """Takes in bodies, each of up to `max_bytes`; what arrives at once, of all requests, the gate bounds."""

    def __init__(self, max_bytes: int, gate: Gate, aside: Aside) -> None:
        self._max_bytes, self._gate, self._aside = max_bytes, gate, aside

    async def take(self, exchange: Exchange) -> bytes:
        """Return a body, unzipped. Raises `RejectedError`, `RequestError`, and `GoneError`."""
        length = exchange.headers.get(b"content-length", b"0")
        if len(length) > _LENGTH_DIGITS or int(length) > self._max_bytes:
            raise _too_large(self._max_bytes)
        message = await exchange.receive()
        if message["type"] != "http.request":
            raise GoneError
        body: bytes = message.get("body", b"")
        if message.get("more_body"):
            body = await self._rest_of(body, exchange)
        if len(body) > self._max_bytes:
            raise _too_large(self._max_bytes)
        if exchange.scope.get(ADMITTED) is False:
            raise overloaded(self._gate.most_waiting)
        encoding = exchange.headers.get(b"content-encoding")
        if encoding is None:
            return body
        return await self._aside.run(unzip, (body, encoding, self._max_bytes), exchange)

    async def _rest_of(self, first: bytes, exchange: Exchange) -> bytes:
        body = bytearray(first)
        with self._gate.holding() as held:
            more = True
            while more:
                held.grow_to(len(body))
                if len(body) > self._max_bytes:
                    raise _too_large(self._max_bytes)
                message = await exchange.receive()
                if message["type"] != "http.request":
                    raise GoneError
                body += message.get("body", b"")
                more = message.get("more_body", False)
        return bytes(body)


def unzip(body: bytes, encoding: bytes, max_bytes: int) -> bytes:
    """Return the body without its Content-Encoding. Raises `RejectedError` and `RequestError`.

    Kilobytes can take as long as all that `max_bytes` allow: not to be called between two other requests.
    """
    if encoding.strip().lower() in {b"", b"identity"}:
        return bytes(body)
    if encoding.strip().lower() != b"gzip":
        raise RejectedError(
            415, Reason.UNSUPPORTED_MEDIA_TYPE, "The Content-Encoding is not gzip, the only one read here"
        )
    unzip = zlib.decompressobj(_GZIP)
    try:
        found = unzip.decompress(body, max_bytes + 1)
    except zlib.error:
        raise RequestError("The body is not gzip, as its Content-Encoding says") from None
    if len(found) > max_bytes or unzip.unconsumed_tail:
        raise _too_large(max_bytes, " when it is unzipped")
    if not unzip.eof or unzip.unused_data:
        raise RequestError("The body is not one whole gzip stream, as its Content-Encoding says")
    return found


def _too_large(max_bytes: int, when: str = "") -> RejectedError:
    return RejectedError(
        413,
        Reason.BODY_TOO_LARGE,
        f"The body is larger than {max_bytes:,} bytes{when}, which is as much as is read",
    )
