"""Where workers put copies of requests for shadows: a socket for each, bounded, and never waited for.

Made before the fork. All workers write to one end; the process of the shadow, whenever it runs, reads the
other. What does not fit is dropped, and counted by whoever could not put it there.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from serving.watching.arms import SLOTS

# The kernel takes no message that is larger than what it holds for a socket; few are.
_MOST_BYTES = 128 * 1024
_HELD_BYTES = 1024 * 1024


class Copy(NamedTuple):
    """A request for a shadow, and the answer that it goes with."""

    digest: str
    prediction_id: str
    entity: str | None
    content_type: str
    body: bytes


@dataclass(frozen=True, eq=False)
class ShadowQueue:
    """The queue of one slot. `reader` is inherited by the process of the shadow."""

    writer: socket.socket
    reader: socket.socket

    @classmethod
    def create(cls) -> ShadowQueue:
        """Make an empty queue. Messages stay whole, and the kernel bounds how many bytes wait."""
        writer, reader = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        writer.settimeout(0)
        writer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _HELD_BYTES)
        return cls(writer, reader)

    def put(self, copy: Copy) -> bool:
        """Put a copy there; return whether there was room. Never waits, never raises."""
        if len(copy.body) > _MOST_BYTES:
            return False
        head = orjson.dumps(copy[:-1])
        try:
            self.writer.send(b"%b\n%b" % (head, copy.body))
        except OSError:
            return False
        return True


def take(reader: socket.socket) -> Copy | None:
    """Wait for the next copy, for as long as `reader` may; None where there is nobody left to send one.

    Raises `TimeoutError`.
    """
    message = reader.recv(_HELD_BYTES)
    if not message:
        return None
    head, _, body = message.partition(b"\n")
    digest, prediction_id, entity, content_type = orjson.loads(head)
    return Copy(digest, prediction_id, entity, content_type, body)


def make_queues(models: int) -> tuple[tuple[ShadowQueue, ...], ...]:
    """Make a queue for each challenger that each model may have; the champion's slot has one of no use."""
    return tuple(tuple(ShadowQueue.create() for _ in range(SLOTS)) for _ in range(models))
