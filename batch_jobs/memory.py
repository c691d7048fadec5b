"""Memory that is free is kept in few places and given back, or a long run would hold more and more of it."""

from __future__ import annotations

import ctypes

_ARENA_MAX = -8  # `M_ARENA_MAX` of glibc's malloc.h


def share_arenas(count: int) -> None:
    """Have C's allocator serve all threads from at most so many arenas; call it before there are threads.

    By default it makes eight for each processor. Each thread that scores has another that reads and some that
    upload, and none gets what another has freed: over 30 million rows, 45 MiB of 800, and peaks that differ
    more from run to run.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc has it
    if set_option is not None:
        set_option(_ARENA_MAX, count)


def give_back_memory() -> None:
    """Hand what nothing uses any more back to the system: Arrow's, and what C's allocator keeps for later.

    Both keep pages that blocks of other sizes left holes in. Over tens of millions of rows these add up to
    more than all that is in use at any time.
    """
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
    if trim is not None:
        trim(0)
