"""Memory that is free is given back, or a long run would hold more and more of it."""

from __future__ import annotations

import ctypes

import pyarrow as pa


def give_back_memory() -> None:
    """Hand what nothing uses any more back to the system: Arrow's, and what C's allocator keeps for later.

    Both keep pages that blocks of other sizes left holes in. Over tens of millions of rows these add up to
    more than all that is in use at any time.
    """
    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
    if trim is not None:
        trim(0)
