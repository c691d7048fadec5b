"""S3 behind a proxy that fails on demand: real requests, real answers, and one of them goes wrong.

    with faulty_s3(s3) as faulty:
        faulty.fail(Fault.LOST_ANSWER, at=7)
        ...  # anything that uses `faulty.settings`, in this process or another

The proxy is a process of its own: deltalake holds Python's lock while it waits for S3. The signature of a
request covers its Host header, which is passed on as it came; SeaweedFS checks it against what it was sent.
"""

from __future__ import annotations

import http.client
import multiprocessing
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from typing import Any, ClassVar
from urllib.parse import urlsplit

from storage import S3Settings

_SLOW_DOWN = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Reduce your rate</Message></Error>"


@dataclass(frozen=True)
class Request:
    """One request, counted from 1. A client that tries again sends another one."""

    number: int
    method: str
    path: str


class Fault(StrEnum):
    """What can happen to a request."""

    SLOW_DOWN = "answers 503 SlowDown, and S3 never sees the request"
    CLOSED = "closes the connection, and S3 never sees the request"
    LOST_ANSWER = "closes the connection after S3 accepted the request"
    TRUNCATED = "sends half the body of an answer, then closes; an answer without body is lost"


When = int | Callable[[Request], bool]
Trouble = Fault | Callable[[], object]


@dataclass(frozen=True)
class FaultyS3:
    """The proxy, as tests see it. `settings` lead to it."""

    settings: S3Settings
    _control: Connection

    def fail(self, trouble: Trouble, *, at: When, onward: bool = False) -> None:
        """Let `trouble` happen to the request of that number, or to the first that `at` is true of.

        Numbers count from now on. `onward`: and to every request after it. A function is called before the
        request is passed on, in the process of the proxy: it must be one that can be pickled.
        """
        self._ask("fail", trouble, at, onward)

    def forget(self) -> None:
        """Count from 1 again, and let nothing fail."""
        self.fail(Fault.CLOSED, at=0)

    @property
    def requests(self) -> list[Request]:
        """What came since the last `fail` or `forget`."""
        found: list[Request] = self._ask("requests")
        return found

    @property
    def failed(self) -> bool:
        """Whether the trouble happened."""
        return bool(self._ask("failed"))

    def _ask(self, *question: object) -> Any:
        self._control.send(question)
        return self._control.recv()


@contextmanager
def faulty_s3(s3: S3Settings) -> Iterator[FaultyS3]:
    """Run a proxy in front of `s3`, on a free port."""
    assert s3.endpoint
    here, there = multiprocessing.Pipe()
    spawned = multiprocessing.get_context("spawn")
    process = spawned.Process(target=_serve, args=(urlsplit(s3.endpoint).netloc, there), daemon=True)
    process.start()
    there.close()
    try:
        port = here.recv()
        yield FaultyS3(replace(s3, endpoint=f"http://127.0.0.1:{port}"), here)
    finally:
        here.close()
        process.join(10)
        process.kill()
        process.join()


class _Troubles:
    """Counts requests, and says which of them something happens to."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.failed = False
        self._plan: tuple[Trouble, When, bool] = (Fault.CLOSED, 0, False)
        self._lock = threading.Lock()

    def fail(self, trouble: Trouble, at: When, onward: bool) -> None:  # noqa: FBT001  # comes as a message
        with self._lock:
            self.requests, self.failed, self._plan = [], False, (trouble, at, onward)

    def admit(self, method: str, path: str) -> Trouble | None:
        with self._lock:
            request = Request(len(self.requests) + 1, method, path)
            self.requests.append(request)
            trouble, at, onward = self._plan
            if self.failed:
                return trouble if onward else None
            self.failed = at(request) if callable(at) else request.number == at
            return trouble if self.failed else None


def _serve(upstream: str, control: Connection) -> None:
    troubles = _Troubles()
    _Handler.troubles, _Handler.upstream = troubles, upstream
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        control.send(server.server_port)
        while True:
            try:
                verb, *values = control.recv()
            except EOFError:
                break
            if verb == "fail":
                troubles.fail(*values)
            control.send(None if verb == "fail" else getattr(troubles, verb))
        server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Else each answer waits for the acknowledgement of its headers.
    disable_nagle_algorithm = True
    wbufsize = -1
    troubles: ClassVar[_Troubles]
    upstream: ClassVar[str]

    def _pass_on(self) -> None:
        body = self._body()
        fault = self.troubles.admit(self.command, self.path)
        if isinstance(fault, Fault):
            if fault is Fault.SLOW_DOWN:
                self._answer(503, [("Content-Type", "application/xml")], _SLOW_DOWN)
                return
            if fault is Fault.CLOSED:
                self._hang_up()
                return
        elif fault is not None:
            fault()
        connection = http.client.HTTPConnection(self.upstream, timeout=60)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in {"connection", "expect"}:
                    connection.putheader(name, value)
            connection.endheaders(body or None)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if fault is Fault.LOST_ANSWER or (fault is Fault.TRUNCATED and not content):
            self._hang_up()
            return
        self._answer(answer.status, answer.getheaders(), content, whole=fault is not Fault.TRUNCATED)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass_on  # noqa: N815  # the names that http.server calls

    def handle_expect_100(self) -> bool:
        """Let the client send its body at once; it would wait for a second."""
        going_on = super().handle_expect_100()
        self.wfile.flush()
        return going_on

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        # As it came, chunk sizes and all: the header that says so is passed on too.
        read = b""
        while True:
            line = self.rfile.readline()
            size = int(line.split(b";")[0], 16)
            read += line + self.rfile.read(size)
            if size == 0:
                while (line := self.rfile.readline()) != b"\r\n":
                    read += line
                return read + line
            read += self.rfile.readline()

    def _answer(
        self, status: int, headers: list[tuple[str, str]], content: bytes, *, whole: bool = True
    ) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in {"connection", "transfer-encoding", "content-length"}:
                self.send_header(name, value)
        length = {n.lower(): v for n, v in headers}.get("content-length") if self.command == "HEAD" else None
        if status != 204:
            self.send_header("Content-Length", length or str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content if whole else content[: len(content) // 2])
        self.wfile.flush()
        if not whole:
            self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        """Say nothing: `requests` has it."""
