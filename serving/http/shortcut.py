"""The short way to an answer: for a request whose head was read before, byte for byte.

A client that keeps its connection sends one head again and again, or a few, for the lengths of its bodies.
What HTTP, the doorkeeper and the routes said of those bytes once they would say again, so it is remembered,
and what is left is to read the rows and to predict them: without a task, at once. Everything that is not
just so (other bytes, a body that is not all there, a request that is wrong, or slow, or one too many) takes
the long way, which gives the same answer, and remembers what may take this one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from serving.http.exchange import answered_by, opening

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from serving.contract.limits import Limits
    from serving.http.exchange import Exchange
    from serving.http.gate import Gate
    from serving.http.stage import Standing
    from serving.watching.tally import WorkerTally

_BEGIN, _END = b"POST ", b"\r\n\r\n"
# A head is 100 to 500 bytes, and a client has as many as its bodies have lengths.
_MOST_HEADS, _LONGEST_HEAD_BYTES = 1024, 2048
# What comes in one piece and is read here, head and body.
MOST_BYTES = 8 * 1024
# A request with one of these is not read as others are; or its head will not come again, and would only take
# the place of one that does.
_TELLING = frozenset({
    *(b"transfer-encoding", b"content-encoding", b"expect", b"upgrade"),
    *(b"x-request-id", b"traceparent", b"x-amzn-trace-id", b"x-b3-traceid"),
})  # fmt: skip


@dataclass(frozen=True)
class _Known:
    """What a head says: which model is asked, in which format, by a body of how many bytes."""

    model: int
    content_type: str
    body_bytes: int


class Shortcut:
    """Remembers heads for one worker, and answers what comes under them."""

    def __init__(
        self,
        standings: Sequence[Standing],
        limits: Limits,
        gate: Gate,
        tally: WorkerTally,
        next_id: Callable[[], bytes],
    ) -> None:
        self._standings, self._limits = standings, limits
        self._gate, self._tally, self._next_id = gate, tally, next_id
        self._known: dict[bytes, _Known] = {}
        # How answers begin, by model and version, under the headers that all answers have this second.
        self._openings: dict[tuple[int, int], bytes] = {}
        self._headers: Sequence[tuple[bytes, bytes]] = ()

    def answer(self, data: bytes, headers: Sequence[tuple[bytes, bytes]]) -> bytes | None:
        """Return the answer to what came on a connection that waits for a request, or None: the long way.

        `headers` are those that all answers have.
        """
        began = time.perf_counter()
        ends = data.find(_END) + len(_END)
        head = data[:ends]
        known = self._known.get(head)
        gate = self._gate
        if known is None or len(data) - ends != known.body_bytes or gate.is_draining or gate.is_full:
            return None
        standing = self._standings[known.model]
        served = standing.serves
        if served is None or standing.routing is not None:
            return None
        arrived = time.perf_counter()
        self._tally.enter()
        try:
            asked = served.read(known.content_type, data[ends:], self._limits)
            parsed = time.perf_counter()
            answer = served.answer(asked) if served.is_quick(asked) else None
        except Exception:  # noqa: BLE001  # the long way says what is wrong; raised, it would close the connection
            answer = None
        finally:
            self._tally.leave()
        if answer is None:
            del self._known[head]  # or whatever else comes under it might be read twice as well
            return None
        predicted = time.perf_counter()
        begins = self._opening(known.model, served.version.number, headers)
        said = b"%b%b\r\ncontent-length: %d\r\n\r\n%b" % (
            begins,
            self._next_id(),
            len(answer.body),
            answer.body,
        )
        total_s = time.perf_counter() - began
        self._tally.answered(
            known.model, 200, answer.rows, arrived - began, parsed - arrived, predicted - parsed, total_s
        )
        self._tally.predicted(known.model, answer.rows)
        return said

    def remember(self, exchange: Exchange, model: int) -> None:
        """Remember the head of a request that was just answered, and quickly, if it may come again."""
        data, headers = exchange.data, exchange.headers
        # A parser passes over blank lines before a request, of which the first could be taken for its end.
        if data is None or not data.startswith(_BEGIN) or _END not in data:
            return
        if not exchange.is_kept or not _TELLING.isdisjoint(headers):
            return
        body_bytes = int(headers.get(b"content-length", b"0"))
        ends = data.find(_END) + len(_END)
        if ends > _LONGEST_HEAD_BYTES or len(data) - ends != body_bytes:
            return
        if len(self._known) >= _MOST_HEADS:
            self.forget()
        self._known[data[:ends]] = _Known(model, exchange.content_type, body_bytes)

    def forget(self) -> None:
        """Remember nothing any more."""
        self._known.clear()

    def _opening(self, model: int, version: int, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
        if headers is not self._headers:
            self._headers = headers
            self._openings.clear()
        found = self._openings.get((model, version))
        if found is None:
            head = (*headers, *answered_by(self._standings[model].name, version))
            found = opening(200, head) + b"x-request-id: "
            self._openings[model, version] = found
        return found
