"""Reading ahead: the next of what an iterator gives is made while the last is worked on. Pure."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

_Item = TypeVar("_Item")
_END = object()


def ahead(items: Iterator[_Item]) -> Iterator[_Item]:
    """Yield what `items` gives, and raise what it raises, where it does; one of them is held meanwhile.

    They are made in a thread of their own, one after the other.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:
        coming = pool.submit(next, items, _END)
        while (found := coming.result()) is not _END:
            coming = pool.submit(next, items, _END)
            yield cast("_Item", found)
