"""Sends one event once, over HTTP: signed as MLflow signs, to an address checked when it is connected to."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

import requests
from mlflow.exceptions import MlflowException
from mlflow.utils.validation import _validate_webhook_url
from mlflow.webhooks.constants import (
    WEBHOOK_DELIVERY_ID_HEADER,
    WEBHOOK_SIGNATURE_HEADER,
    WEBHOOK_TIMESTAMP_HEADER,
)
from mlflow.webhooks.delivery import _generate_hmac_signature
from mlflow.webhooks.ssrf import SSRFProtectedHTTPAdapter, SSRFProtectionError
from urllib3.exceptions import HTTPError, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterator

# A host may have many addresses, and each is tried for so long.
_CONNECT_TIMEOUT_S = 5.0

# The first digit of the status.
_SUCCESS, _REDIRECT = 2, 3


class UndeliveredError(Exception):
    """The event did not arrive, for the reason that the message says. Trying again may help."""


@dataclass(frozen=True)
class Receiver:
    """Where an event goes, and what it is signed with; without a secret it is not signed."""

    url: str
    secret: str | None = field(default=None, repr=False)


def send(receiver: Receiver, delivery_id: str, payload: str, sent_s: float, timeout_s: float) -> None:
    """Post the payload once, and return when the receiver answered with a 2xx.

    `sent_s` is now, in Unix seconds; it is signed too, so that a receiver can refuse what is replayed.
    Redirects are not followed and no part of the answer's body is read: the receiver of an event cannot
    make the server fetch anything, nor tell it anything but a status.

    Raises `UndeliveredError` where the address is not allowed, nobody answered within `timeout_s`, or
    the answer was not a 2xx.
    """
    timestamp = str(int(sent_s))
    headers = {
        "Content-Type": "application/json",
        WEBHOOK_DELIVERY_ID_HEADER: delivery_id,
        WEBHOOK_TIMESTAMP_HEADER: timestamp,
    }
    if receiver.secret:
        headers[WEBHOOK_SIGNATURE_HEADER] = _generate_hmac_signature(
            receiver.secret, delivery_id, timestamp, payload
        )
    try:
        # As MLflow does when the webhook is entered; what is allowed may have changed since.
        _validate_webhook_url(receiver.url)
        status = _post(receiver.url, payload.encode(), headers, timeout_s)
    except MlflowException as error:
        raise UndeliveredError(error.message) from error
    except SSRFProtectionError as error:
        raise UndeliveredError(str(error)) from error
    # Beside requests' own errors: a host name that is none, and a socket that was shut meanwhile.
    except (requests.RequestException, HTTPError, OSError, ValueError) as error:
        raise UndeliveredError(_told(error, timeout_s)) from error
    if status // 100 == _REDIRECT:
        raise UndeliveredError(
            f"The receiver answered {status}, and redirects are not followed; enter the address it now has."
        )
    if status // 100 != _SUCCESS:
        raise UndeliveredError(f"The receiver answered {status}; expected 2xx.")


class _Adapter(SSRFProtectedHTTPAdapter):  # type: ignore[misc]  # MLflow ships no types
    """MLflow's adapter, which checks the peer of every connection, and one that can be cut off.

    A timeout of requests starts anew with every byte that arrives; a receiver that sends one at a time
    would hold the courier for days.
    """

    def __init__(self) -> None:
        super().__init__(max_retries=0)
        self._sockets: list[socket.socket] = []
        self.was_cut = False

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool = super().get_connection_with_tls_context(*args, **kwargs)
        make = pool.ConnectionCls

        def make_and_keep(*args: Any, **kwargs: Any) -> Any:
            connection = make(*args, **kwargs)
            # The seam that MLflow's check uses as well. TLS takes the socket over, hence a duplicate.
            connect = connection._new_conn  # noqa: SLF001

            def connect_and_keep() -> socket.socket:
                connected: socket.socket = connect()
                self._sockets.append(connected.dup())
                if self.was_cut:
                    self._cut()
                return connected

            connection._new_conn = connect_and_keep  # noqa: SLF001
            return connection

        pool.ConnectionCls = make_and_keep
        return pool

    @contextmanager
    def cut_after(self, seconds: float) -> Iterator[None]:
        timer = threading.Timer(seconds, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()
            for kept in self._sockets:
                kept.close()

    def _cut(self) -> None:
        self.was_cut = True
        for kept in self._sockets:
            with suppress(OSError):
                kept.shutdown(socket.SHUT_RDWR)


def _post(url: str, body: bytes, headers: dict[str, str], timeout_s: float) -> int:
    adapter = _Adapter()
    timeouts = (min(_CONNECT_TIMEOUT_S, timeout_s), timeout_s)
    with requests.Session() as session, adapter.cut_after(timeout_s):
        # A proxy would be the peer that is checked, in place of the receiver.
        session.trust_env = False
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        try:
            with session.post(
                url, data=body, headers=headers, timeout=timeouts, allow_redirects=False, stream=True
            ) as response:
                status = response.status_code
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            if adapter.was_cut:
                raise requests.Timeout from error
            raise
        # Headers that break off are read as if they were whole.
        if adapter.was_cut:
            raise requests.Timeout
        return status


def _told(error: Exception, timeout_s: float) -> str:
    """Say it without the path of the address, which may hold a password."""
    if isinstance(error, requests.Timeout):
        return f"The receiver did not answer within {timeout_s:g} s."
    cause = error.args[0] if error.args else error
    cause = getattr(cause, "reason", cause)
    inner = cause.args[-1] if isinstance(cause, ProtocolError) else None
    # RemoteDisconnected is both: it says that nothing was answered.
    if isinstance(inner, HTTPException) and not isinstance(inner, OSError):
        return "The receiver answered, but not as HTTP."
    # What cannot be printed, PostgreSQL may refuse to store.
    said = "".join(character for character in str(cause) if character.isprintable())
    return f"The receiver could not be reached: {said[:500]}."
