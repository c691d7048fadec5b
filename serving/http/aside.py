"""Work that takes longer than a request may wait for it: in threads, beside the event loop.

XGBoost and Arrow let other threads run. Work that is too late is answered 504; its place is free when it
ended, not when its client stopped waiting: a machine is as busy as it is.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from serving.http.exchange import ADMITTED
from serving.http.rejections import too_late

if TYPE_CHECKING:
    from collections.abc import Callable

    from serving.http.exchange import Exchange
    from serving.http.gate import Gate

T = TypeVar("T")

# A body up to this is read between two other requests: a millisecond. A larger one beside them, in a thread.
QUICK_BYTES = 64 * 1024


class Aside:
    """The threads of one worker."""

    def __init__(self, threads: int, deadline_s: float, gate: Gate) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="aside")
        self._deadline_s, self._gate = deadline_s, gate

    async def run(self, work: Callable[..., T], arguments: tuple[Any, ...], exchange: Exchange) -> T:
        """Return what `work` for a request returns, or raise what it raises; `RejectedError` if too late."""
        under_way = self._pool.submit(work, *arguments)
        waited = asyncio.wrap_future(under_way)
        left_s = self._deadline_s - (time.perf_counter() - exchange.began)
        try:
            done, _ = await asyncio.wait({waited}, timeout=max(left_s, 0))
        except asyncio.CancelledError:
            waited.cancel()
            raise
        if done:
            return waited.result()
        if not under_way.cancel() and exchange.scope.get(ADMITTED):
            # Begun, and cannot be stopped: it keeps its place until it ended.
            exchange.scope[ADMITTED] = False
            loop = asyncio.get_running_loop()
            under_way.add_done_callback(lambda _: loop.call_soon_threadsafe(self._gate.leave))
        waited.add_done_callback(_forget)
        raise too_late(self._deadline_s)

    def close(self) -> None:
        """Wait for nothing that has not begun."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _forget(late: asyncio.Future[Any]) -> None:
    if not late.cancelled():
        late.exception()
