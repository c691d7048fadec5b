"""Splits: the pieces of a snapshot that are scored apart from each other. Planned from sizes and footers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import accumulate, groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from batch_jobs.errors import JobFileError
from storage import row_groups

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from storage import ObjectVersion, Snapshot, Store

# So much of the input is one split, unless the environment says otherwise.
SPLIT_BYTES = 64 * 2**20
_SETTING = "GREENROOM_SPLIT_BYTES"


@dataclass(frozen=True)
class Piece:
    """An object, or some row groups of one: `groups` counts from 0, and None is all of them."""

    object: ObjectVersion
    groups: tuple[int, ...] | None = None
    size_bytes: int = 0


@dataclass(frozen=True)
class Split:
    """Pieces that are scored together, in order. Its name is the same for the same pieces."""

    pieces: tuple[Piece, ...]

    @property
    def name(self) -> str:
        """Return a digest of what is in it; a finished split is found again by that."""
        lines = (f"{p.object.uri}\t{p.object.etag}\t{p.object.size_bytes}\t{p.groups}\n" for p in self.pieces)
        return hashlib.sha256("".join(lines).encode()).hexdigest()[:32]

    @property
    def size_bytes(self) -> int:
        """Size of its input, about."""
        return sum(piece.size_bytes for piece in self.pieces)


def split_bytes(environment: Mapping[str, str]) -> int:
    """Return how much of the input is one split. Raises `JobFileError` where the setting is no number."""
    text = environment.get(_SETTING) or str(SPLIT_BYTES)
    if not text.isdecimal() or int(text) < 1:
        raise JobFileError(f"{_SETTING} is {text!r}, expected a whole number of bytes, at least 1")
    return int(text)


def plan_splits(snapshot: Snapshot, store: Store, size_bytes: int = SPLIT_BYTES) -> tuple[Split, ...]:
    """Cut a snapshot into splits of about `size_bytes`: large Parquet files by row group.

    A CSV file is never cut: where a row of it begins is known only to whoever reads it from the start.
    Raises `UnreadableFileError` for a Parquet file without a sound footer.
    """
    pieces = (piece for pinned in snapshot.objects for piece in _pieces(pinned, store, size_bytes))
    return tuple(Split(tuple(together)) for together in _gather(pieces, size_bytes))


def _pieces(pinned: ObjectVersion, store: Store, split_bytes: int) -> Iterator[Piece]:
    if pinned.size_bytes <= split_bytes or not pinned.uri.lower().endswith(".parquet"):
        yield Piece(pinned, None, pinned.size_bytes)
        return
    counts = row_groups(store.open(pinned), pinned.uri)
    rows = max(1, sum(counts))
    # All about as large, or the last would be small, and whoever has it done would wait for the others.
    pieces = -(-pinned.size_bytes // split_bytes)
    middles = (end - count / 2 for end, count in zip(accumulate(counts), counts, strict=True))
    numbered = zip(
        (min(int(pieces * middle / rows), pieces - 1) for middle in middles), range(len(counts)), strict=True
    )
    for _, together in groupby(numbered, key=itemgetter(0)):
        groups = tuple(group for _, group in together)
        yield Piece(pinned, groups, pinned.size_bytes * sum(counts[g] for g in groups) // rows)


def _gather(pieces: Iterable[Piece], split_bytes: int) -> Iterator[list[Piece]]:
    together: list[Piece] = []
    for piece in pieces:
        if together and sum(p.size_bytes for p in together) + piece.size_bytes > split_bytes:
            yield together
            together = []
        together.append(piece)
    if together:
        yield together
