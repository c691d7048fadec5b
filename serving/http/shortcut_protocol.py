"""The protocol of a worker: with the short way in front of it, for a request that arrives in one piece."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from serving.http.exchange import DATA
from serving.http.protocol import GuardedProtocol
from serving.http.shortcut import MOST_BYTES

if TYPE_CHECKING:
    from serving.http.shortcut import Shortcut


class ShortcutProtocol(GuardedProtocol):
    """One connection. Whatever `shortcut` has no answer to is read by the parser, which saw nothing of it."""

    shortcut: ClassVar[Shortcut]

    # The bytes that are read now, if a request may begin with the first of them.
    _data: bytes | None = None

    def data_received(self, data: bytes) -> None:
        """Answer what came at once, or read it."""
        if len(data) <= MOST_BYTES and not self.flow.write_paused and self._is_between():
            answer = self.shortcut.answer(data, self.server_state.default_headers)
            if answer is not None:
                self._end_with(answer)
                return
            self._data = data
        super().data_received(data)
        self._data = None

    def on_headers_complete(self) -> None:
        """End the head of a request, and have what it came in remembered with it."""
        super().on_headers_complete()
        if self._data is not None:
            self.scope[DATA] = self._data  # type: ignore[literal-required]
            self._data = None  # what else they hold does not begin with the first

    def _end_with(self, answer: bytes) -> None:
        """Write the answer to a request that was not read, and leave the connection as if it had been."""
        self._disarm()
        self._is_whole = self._has_begun = True
        self.transport.write(answer)
        self.server_state.total_requests += 1
        self._wait_for_more()


def with_shortcut(protocol: type[GuardedProtocol], shortcut: Shortcut) -> type[ShortcutProtocol]:
    """Return the protocol of one worker, with the short way in front of it."""
    return type("WorkerProtocol", (ShortcutProtocol, protocol), {"shortcut": shortcut})
