"""Who is in which arm: 10,000 buckets by a keyed hash of the entity, and a table of the arm of each. Pure.

No rule without memory moves the fewest entities whenever shares change, once there are three arms: so the
table is kept, and changed by as little as the new shares need.
"""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b
from itertools import groupby
from typing import TYPE_CHECKING, Any

from serving.routing.declaration import CHAMPION

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

BUCKETS = 10_000

Table = tuple[str, ...]
"""The arm of each bucket."""

ALL_CHAMPION: Table = (CHAMPION,) * BUCKETS
_MOST_KEY_BYTES = 64


class Hasher:
    """Finds the bucket of an entity, by the model's name: two models are not to try on the same people."""

    def __init__(self, model: str) -> None:
        self._keyed = blake2b(
            digest_size=8, key=blake2b(model.encode(), digest_size=_MOST_KEY_BYTES).digest()
        )

    def bucket(self, entity: bytes) -> int:
        """Return a number below `BUCKETS`, the same on every machine."""
        hashed = self._keyed.copy()
        hashed.update(entity)
        return int.from_bytes(hashed.digest(), "little") % BUCKETS


def quotas(percents: Mapping[str, float]) -> dict[str, int]:
    """Return how many buckets each challenger has by its percent; the champion has what is left.

    Raises `ValueError` where they want more than there are.
    """
    found = {arm: round(percent * BUCKETS / 100) for arm, percent in percents.items() if arm != CHAMPION}
    left = BUCKETS - sum(found.values())
    if left < 0 or min(found.values(), default=0) < 0:
        raise ValueError(f"{percents} are not shares of 100 percent")
    return {CHAMPION: left, **found}


def rebalance(table: Sequence[str], counts: Mapping[str, int]) -> Table:
    """Return the table with so many buckets for each arm, in which only those moved that had to.

    An arm with too many gives its last ones, by number; they go to the arms with too few, by name.
    Raises `ValueError` where the counts are not those of all buckets.
    """
    if len(table) != sum(counts.values()) or min(counts.values(), default=0) < 0:
        raise ValueError(f"{dict(counts)} do not add up to {len(table)} buckets")
    now = Counter(table)
    surplus = {arm: has - counts.get(arm, 0) for arm, has in now.items() if has > counts.get(arm, 0)}
    freed = []
    for bucket in range(len(table) - 1, -1, -1):
        if surplus.get(table[bucket], 0):
            surplus[table[bucket]] -= 1
            freed.append(bucket)
    wanted = [arm for arm in sorted(counts) for _ in range(counts[arm] - now[arm])]
    moved = dict(zip(reversed(freed), wanted, strict=True))
    return tuple(moved.get(bucket, arm) for bucket, arm in enumerate(table))


def runs_of(table: Iterable[str]) -> list[tuple[str, int]]:
    """Write a table as arms and how many buckets in a row are theirs."""
    return [(arm, sum(1 for _ in group)) for arm, group in groupby(table)]


def table_of(runs: Iterable[tuple[Any, Any]]) -> Table:
    """Read what `runs_of` wrote. Raises `ValueError` where it is not the arm of each bucket."""
    found: list[str] = []
    for arm, count in runs:
        if not isinstance(arm, str) or type(count) is not int or not 0 < count <= BUCKETS - len(found):
            raise ValueError(f"a run of {count!r} buckets of {arm!r} does not fit {BUCKETS:,}")
        found += [arm] * count
    if len(found) != BUCKETS:
        raise ValueError(f"the runs have {len(found):,} buckets, expected {BUCKETS:,}")
    return tuple(found)
