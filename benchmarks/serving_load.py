"""What asks a server: `python -m benchmarks.serving_load REQUESTS PORT PATH CLIENTS SECONDS [RATE]`.

A process of its own, on plain sockets and one epoll, so that it takes a small part of what a server takes; it
says how much of a processor it used. Without RATE, each client asks again as soon as it is answered (a closed
loop, which is how fast a server is). With RATE, requests come at random moments of that rate, as from many
clients who do not know of each other, and a latency counts from the moment a request was due, sent or not: a
server that stalls is not spared those that would have come meanwhile (coordinated omission).

Prints one JSON object. Every answer is compared with what XGBoost says, after the clock has stopped.
"""

from __future__ import annotations

import gc
import json
import re
import select
import socket
import sys
import time
from array import array
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random

import orjson

# The first part of a measurement is not counted: connections, branch predictors and pools are cold.
_WARM_SHARE = 0.2
_PATIENCE_S = 60.0
_LENGTH = re.compile(rb"(?i)\ncontent-length: *(\d+)")


class UnexpectedAnswerError(Exception):
    """A server did not answer, or said something else than XGBoost."""


@dataclass
class Heard:
    """Latencies in microseconds, and requests answered in so many seconds, of all that were asked.

    `processor` is how much of one the asker itself took.
    """

    latencies_us: list[int] = field(default_factory=list)
    answered: int = 0
    seconds: float = 0.0
    asked: int = 0
    processor: float = 0.0


@dataclass(eq=False)
class _Client:
    wire: socket.socket
    due: float = 0.0
    which: int = 0
    got: bytes = b""


class _Asking:
    """One measurement: which requests are due, which clients wait, and what was answered."""

    def __init__(self, requests: list[bytes], port: int, clients: int) -> None:
        self.requests = requests
        self.clients: dict[int, _Client] = {}
        self.poll = select.epoll()
        for _ in range(clients):
            wire = socket.create_connection(("127.0.0.1", port), _PATIENCE_S)
            wire.settimeout(None)  # epoll says when there is something to read
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 18)
            self.clients[wire.fileno()] = _Client(wire)
            self.poll.register(wire, select.EPOLLIN)
        self.idle = deque(self.clients.values())
        self.sent = 0
        self.done: list[tuple[float, float, int, bytes]] = []

    def send(self, due: float) -> None:
        """Let an idle client ask, for what was due then."""
        client = self.idle.popleft()
        client.due, client.which, client.got = due, self.sent % len(self.requests), b""
        self.sent += 1
        client.wire.sendall(self.requests[client.which])

    def listen(self, timeout_s: float) -> None:
        """Take what was answered; waits for it, but not longer than that."""
        # epoll alone would round the time up to a millisecond.
        if not select.select([self.poll], [], [], max(0.0, timeout_s))[0]:
            return
        for wire, _ in self.poll.poll(0):
            client = self.clients[wire]
            client.got += client.wire.recv(1 << 17)
            if _is_whole(client.got):
                self.done.append((client.due, time.perf_counter(), client.which, client.got))
                self.idle.append(client)

    def finish(self) -> None:
        """Wait for the answers that are still out."""
        until = time.perf_counter() + _PATIENCE_S
        while len(self.idle) < len(self.clients):
            if time.perf_counter() > until:
                raise UnexpectedAnswerError(f"a request was not answered within {_PATIENCE_S:g} s")
            self.listen(_PATIENCE_S)


def ask(requests: list[bytes], port: int, clients: int, seconds: float, rate: float | None) -> _Asking:
    """Ask for so long; raises `UnexpectedAnswerError` where an answer does not come."""
    asking = _Asking(requests, port, clients)
    began = time.perf_counter()
    end = began + seconds
    if rate is None:
        while (now := time.perf_counter()) < end:
            while asking.idle:
                asking.send(time.perf_counter())
            asking.listen(end - now)
    else:
        moments = Random(clients)  # noqa: S311  # the same moments for each server
        due = began + moments.expovariate(rate)
        while due < end:
            if asking.idle and time.perf_counter() >= due:
                asking.send(due)
                due += moments.expovariate(rate)
            else:
                asking.listen(due - time.perf_counter() if asking.idle else _PATIENCE_S)
            if time.perf_counter() > end + _PATIENCE_S:
                raise UnexpectedAnswerError(f"{rate:.0f} requests a second were too many")
    asking.finish()
    return asking


def main() -> None:
    """Measure once, and print it."""
    file, port, path, clients, seconds = sys.argv[1:6]
    rate = float(sys.argv[6]) if sys.argv[6:] else None
    document = json.loads(Path(file).read_text())
    requests = [request_of(path, body.encode()) for body in document["bodies"]]
    gc.disable()
    processor, began = time.process_time(), time.perf_counter()
    asking = ask(requests, int(port), int(clients), float(seconds), rate)
    used = (time.process_time() - processor) / (time.perf_counter() - began)
    _compare(asking.done, document["answers"])
    print(json.dumps(asdict(_heard(asking.done, began, float(seconds), used))))


def _heard(done: list[tuple[float, float, int, bytes]], began: float, seconds: float, used: float) -> Heard:
    first, last = began + _WARM_SHARE * seconds, began + seconds
    latencies = [round((then - due) * 1e6) for due, then, *_ in done if due >= first]
    answered = sum(first <= then < last for _, then, *_ in done)
    if latencies and answered:
        return Heard(latencies, answered, last - first, len(done), used)
    # So short that all of it was warming up.
    latencies = [round((then - due) * 1e6) for due, then, *_ in done]
    return Heard(latencies, len(done), done[-1][1] - began, len(done), used)


def request_of(path: str, body: bytes) -> bytes:
    """Return the bytes of a request with a JSON body."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _is_whole(answer: bytes) -> bool:
    if not answer:
        raise UnexpectedAnswerError("the server closed a connection on which a request was out")
    head = answer.find(b"\r\n\r\n")
    if head < 0:
        return False
    length = _LENGTH.search(answer, 0, head)
    if length is None:
        raise UnexpectedAnswerError(f"an answer without Content-Length: {answer[:200]!r}")
    return len(answer) >= head + 4 + int(length[1])


def _compare(done: list[tuple[float, float, int, bytes]], expected: list[list[float]] | None) -> None:
    # The same question has the same answer, mostly; each is read once.
    for which, answer in {(which, answer) for *_, which, answer in done}:
        head, _, body = answer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise UnexpectedAnswerError(f"{head.splitlines()[0]!r}: {body[:200]!r}")
        if expected is not None and predictions(body) != array("f", expected[which]):
            raise UnexpectedAnswerError(f"an answer that is not XGBoost's, bit for bit: {body[:200]!r}")


def predictions(body: bytes) -> array[float]:
    """Return the float32 predictions of an answer: MLflow's contract, or the Open Inference Protocol's."""
    answer = orjson.loads(body)
    return array("f", answer["predictions"] if "predictions" in answer else answer["outputs"][0]["data"])


if __name__ == "__main__":
    try:
        main()
    except (OSError, UnexpectedAnswerError) as error:
        sys.exit(f"{error}")
