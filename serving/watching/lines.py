"""Writes lines without ever waiting: a line that cannot be written at once is dropped and counted.

The reader of a pipe may be stuck, a terminal stopped, a disk full, the descriptor closed; the answers of the
endpoint must not notice. Whether a write waits is a flag of the *open file*, which is shared with whoever
else holds it (the shell, the supervisor), so it is not changed: pipes and terminals are opened once more for
ourselves with O_NONBLOCK, and sockets (journald's) are asked for each message. Regular files wait for no
reader; they are written where they stand, so that nothing of others is overwritten.
"""

from __future__ import annotations

import os
import select
import socket
import stat
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# A pipe takes so many bytes whole or not at all, however many processes write to it. One is for a line feed
# before the line.
LINE_BYTES = select.PIPE_BUF - 1


class Lines:
    """Where lines go. `dropped` counts those that did not."""

    def __init__(self, write: Callable[[bytes], int]) -> None:
        self.dropped = 0
        self.on_drop: Callable[[], None] = _nothing
        self._write = write
        self._torn = False

    @classmethod
    def on(cls, descriptor: int) -> Lines:
        """Write to what is open there now; what is opened under that number later is never written to."""
        return cls(_writer(descriptor))

    def write(self, line: bytes) -> bool:
        """Write a line of at most `LINE_BYTES` with its line feed, or drop it. Neither waits nor raises."""
        # Half a line that went out before is ended, so that only that one cannot be read.
        whole = b"\n" + line if self._torn else line
        try:
            written = self._write(whole)
        except OSError:
            written = 0
        if written == len(whole):
            self._torn = False
            return True
        self._torn = self._torn or written > 0
        self.dropped += 1
        self.on_drop()
        return False


def _writer(descriptor: int) -> Callable[[bytes], int]:
    try:
        mode = os.fstat(descriptor).st_mode
        own = os.dup(descriptor)
    except OSError:
        return _nowhere
    if stat.S_ISSOCK(mode):
        return partial(_send, socket.socket(fileno=own))
    if stat.S_ISREG(mode):
        return partial(os.write, own)
    try:
        again = os.open(f"/proc/self/fd/{own}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        # Not ours to open (another user's pipe). Then the room is asked for first; only another writer that
        # takes it in between could make this one wait.
        return partial(_write_if_ready, own)
    os.close(own)
    return partial(os.write, again)


def _send(to: socket.socket, line: bytes) -> int:
    return to.send(line, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)


def _write_if_ready(descriptor: int, line: bytes) -> int:
    room = select.poll()
    room.register(descriptor, select.POLLOUT)
    return os.write(descriptor, line) if room.poll(0) else 0


def _nowhere(_line: bytes) -> int:
    return 0


def _nothing() -> None:
    pass
