"""The body of a request: received within bounds, and unzipped within bounds."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

from serving.contract.refusals import RequestError
from serving.http.rejections import RejectedError
from serving.watching.tally import Reason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from serving.http.gate import Gate

    Receive = Callable[[], Awaitable[dict[str, Any]]]

_GZIP = 16 + zlib.MAX_WBITS
_LENGTH_DIGITS = 18


class GoneError(Exception):
    """The client went away, or was sent away for being slow, before its request was whole."""


async def receive_body(receive: Receive, headers: Mapping[bytes, bytes], max_bytes: int, gate: Gate) -> bytes:
    """Return the body as it was sent. Raises `RejectedError`, `RequestError`, and `GoneError`.

    What is held for all requests that are still arriving is bounded by the gate.
    """
    length = headers.get(b"content-length", b"0")
    if len(length) > _LENGTH_DIGITS or int(length) > max_bytes:
        raise _too_large(max_bytes)
    message = await receive()
    if message["type"] != "http.request":
        raise GoneError
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        body = await _rest_of(body, receive, max_bytes, gate)
    elif len(body) > max_bytes:
        raise _too_large(max_bytes)
    return bytes(body)


async def _rest_of(first: bytes, receive: Receive, max_bytes: int, gate: Gate) -> bytes:
    body = bytearray(first)
    with gate.holding() as held:
        more = True
        while more:
            held.grow_to(len(body))
            if len(body) > max_bytes:
                raise _too_large(max_bytes)
            message = await receive()
            if message["type"] != "http.request":
                raise GoneError
            body += message.get("body", b"")
            more = message.get("more_body", False)
    if len(body) > max_bytes:
        raise _too_large(max_bytes)
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
