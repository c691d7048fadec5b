"""Predictions by model version: the highest versions a worker has served one by one, those below added up.

Counters must never go back, not even for the blink in which a new version takes the cells of an old one, nor
where a worker is killed in that blink, nor where one worker is a version behind the others. So:

- there is always one spare pair of cells. A new version is written there unseen; one store of `_SPARE` then
  makes it seen, makes the lowest version's pair the spare one, and chooses the sum that has its count;
- which versions go is decided by number, not by time: what once was added up stays so, in every worker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving.watching.layout import VERSIONS_KEPT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    Cells = memoryview[float] | list[float]

_SPARE = 0  # twice the number of the spare pair, plus which of the two sums holds
_SUMS = 1  # two cells
_BELOW = 3  # predictions by versions that were below all others when they were loaded
_OLDER_UP_TO = 4  # the highest version that is only added up
_PAIRS = 5


def switch(row: Cells, start: int, version: int) -> int:
    """Make room for a version in the block at `start`; return the cell that counts its predictions."""
    spare, sum_at = _spare(row, start)
    kept = [pair for pair in range(VERSIONS_KEPT + 1) if pair != spare]
    for pair in kept:
        if row[_version_at(start, pair)] == version:
            return _version_at(start, pair) + 1
    lowest = min(kept, key=lambda pair: row[_version_at(start, pair)])
    lowest_version = row[_version_at(start, lowest)]
    if version < lowest_version:
        row[start + _OLDER_UP_TO] = max(row[start + _OLDER_UP_TO], version)
        return start + _BELOW
    new = _version_at(start, spare)
    row[new], row[new + 1] = version, 0
    # First seen as one of the older, then counted as such: the reader adds it up either way.
    row[start + _OLDER_UP_TO] = lowest_version
    row[start + _SUMS + 1 - sum_at] = row[start + _SUMS + sum_at] + row[_version_at(start, lowest) + 1]
    row[start + _SPARE] = 2 * lowest + 1 - sum_at
    return new + 1


def nowhere(start: int) -> int:
    """Find the cell for predictions of a worker that was not told what it has loaded."""
    return start + _BELOW


def predictions(rows: Iterable[Sequence[float]], start: int) -> tuple[dict[int, float], float]:
    """Add up what all workers predicted, by version, and by all older versions together."""
    read = list(rows)
    older_up_to = max((row[start + _OLDER_UP_TO] for row in read), default=0)
    by_version: dict[int, float] = {}
    older = 0.0
    for row in read:
        _, sum_at = _spare(row, start)
        older += row[start + _SUMS + sum_at] + row[start + _BELOW]
        for version, count in _kept(row, start):
            if version > older_up_to:
                by_version[version] = by_version.get(version, 0) + count
            else:
                older += count
    return by_version, older


def _kept(row: Sequence[float], start: int) -> Iterator[tuple[int, float]]:
    spare, _ = _spare(row, start)
    for pair in range(VERSIONS_KEPT + 1):
        at = _version_at(start, pair)
        if pair != spare and row[at]:
            yield int(row[at]), row[at + 1]


def _spare(row: Sequence[float] | Cells, start: int) -> tuple[int, int]:
    return divmod(int(row[start + _SPARE]), 2)


def _version_at(start: int, pair: int) -> int:
    return start + _PAIRS + 2 * pair
