"""The head of a request: what its headers say, and whether its sender may ask here. Pure."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from serving.contract.refusals import RequestError
from serving.http.rejections import RejectedError
from serving.watching.tally import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# What decides about a request; each of these may come once.
_ONCE = frozenset({b"host", b"authorization", b"content-type", b"content-encoding", b"origin"})
_PORT = re.compile(rb":[0-9]{1,5}\Z")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True)
class Doorkeeper:
    """Who may ask: names the endpoint goes by, and the token that it wants to see, if any.

    A page of another origin, or one that had its name pointed here, is not to ask with the rights of
    whoever looks at it: so `Host` and `Origin` must be ours.
    """

    hosts: frozenset[bytes]
    token: bytes | None = None

    def check(self, headers: Mapping[bytes, bytes]) -> None:
        """Raise `RejectedError` for a host or an origin that is not ours, or without the token."""
        self.check_host(headers)
        if self.token is not None:
            scheme, _, found = headers.get(b"authorization", b"").partition(b" ")
            if not hmac.compare_digest(found, self.token) or scheme.lower() != b"bearer":
                raise RejectedError(
                    401,
                    Reason.UNAUTHORIZED,
                    "This endpoint wants a token: Authorization: Bearer …",
                    [(b"www-authenticate", b"Bearer")],
                )

    def check_host(self, headers: Mapping[bytes, bytes]) -> None:
        """Raise `RejectedError` for a host or an origin that is not ours."""
        host = headers.get(b"host", b"")
        if host not in self.hosts and _PORT.sub(b"", host).lower() not in self.hosts:
            raise RejectedError(
                421,
                Reason.FOREIGN_HOST,
                "The Host of this request is not a name of this endpoint; an operator adds one with"
                " --allow-host NAME",
            )
        origin = headers.get(b"origin")
        if origin is not None and not self._is_ours(origin):
            raise RejectedError(403, Reason.FOREIGN_ORIGIN, "The request comes from a page of another origin")

    def _is_ours(self, origin: bytes) -> bool:
        try:
            name = urlsplit(origin.decode("ascii")).hostname
        except ValueError:
            return False
        return (name or "").encode() in {host.strip(b"[]") for host in self.hosts}


def read_headers(pairs: Sequence[tuple[bytes, bytes]]) -> Mapping[bytes, bytes]:
    """Return the headers by name. Raises `RequestError` where one that decides comes twice."""
    headers = dict(pairs)
    if len(headers) != len(pairs):
        names = [name for name, _ in pairs if name in _ONCE]
        if len(set(names)) != len(names):
            raise RequestError("A header that may come once comes twice")
    return headers


def request_id_of(headers: Mapping[bytes, bytes]) -> bytes | None:
    """Return the id that the sender gave the request, if it is one that may stand in a log."""
    found = headers.get(b"x-request-id")
    return found if found is not None and _REQUEST_ID.fullmatch(found) else None
