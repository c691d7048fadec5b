"""Row keys: hashes to find rows that may have one key, and the keys themselves to be sure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    Hashes = npt.NDArray[np.uint64]

# The finaliser of SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
_ODD_1, _ODD_2, _GOLDEN = (
    np.uint64(0xBF58476D1CE4E5B9),
    np.uint64(0x94D049BB133111EB),
    np.uint64(0x9E3779B97F4A7C15),
)
_HALF = np.uint64(32)
# Bytes of a word that are kept where so many of a text are left.
_KEPT = np.array([(1 << (8 * n)) - 1 for n in range(8)] + [2**64 - 1], np.uint64)
_WORD = 8
_AT_ONCE = 2**14


def hash_keys(columns: Sequence[pa.ChunkedArray]) -> Hashes:
    """Return a hash for each row of a key of text columns, uint64 of shape (rows,).

    Null is not the empty text.
    """
    hashes = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        texts = _as_one(column)
        offsets = np.frombuffer(texts.buffers()[1] or b"\0" * 8, np.int64)[texts.offset :][: len(texts) + 1]
        # A word read at the very end would reach beyond the data.
        data = (texts.buffers()[2] or pa.py_buffer(b"")).to_pybytes() + b"\0" * _WORD
        words = np.ndarray((len(data) - _WORD + 1,), "<u8", data, strides=(1,))
        nulls = np.asarray(pc.is_null(texts))
        # A few rows at a time, so that what is computed of them stays in the processor's cache.
        for start in range(0, len(texts), _AT_ONCE):
            end = start + _AT_ONCE
            some = _hash_text(words, offsets[start : end + 1])
            some[nulls[start:end]] = _GOLDEN
            hashes[start:end] = _mixed(hashes[start:end] ^ some)
    return hashes


def _as_one(column: pa.ChunkedArray) -> pa.LargeStringArray:
    texts = column.cast(pa.large_string()).combine_chunks()
    if isinstance(texts, pa.ChunkedArray):
        texts = pa.concat_arrays(texts.chunks) if texts.num_chunks else pa.array([], pa.large_string())
    return texts


def _hash_text(words: Hashes, offsets: npt.NDArray[np.int64]) -> Hashes:
    starts, lengths = offsets[:-1], np.diff(offsets)
    hashes = lengths.astype(np.uint64) * _GOLDEN
    for begin in range(0, int(lengths.max(initial=0)), _WORD):
        left = np.flatnonzero(lengths > begin)
        some: slice | npt.NDArray[np.int64] = slice(None) if len(left) == len(lengths) else left
        word = words[starts[some] + begin]
        word &= _KEPT[np.minimum(lengths[some] - begin, _WORD)]
        word ^= hashes[some]
        word *= _ODD_1
        word ^= word >> _HALF
        hashes[some] = word
    return hashes


def _mixed(numbers: Hashes) -> Hashes:
    numbers = (numbers + _GOLDEN).astype(np.uint64)
    numbers = (numbers ^ (numbers >> np.uint64(30))) * _ODD_1
    numbers = (numbers ^ (numbers >> np.uint64(27))) * _ODD_2
    return numbers ^ (numbers >> np.uint64(31))


def repeated(keys: Sequence[pa.ChunkedArray]) -> tuple[dict[int, int], Hashes]:
    """Return for each row whose key another row has, too, how many rows have it. Rows count from 0.

    Returns also the hashes of all keys, in order, each once.
    """
    hashes = hash_keys(keys)
    ordered = np.sort(hashes)
    again = ordered[1:] == ordered[:-1]
    if not again.any():
        return {}, ordered
    rows = np.flatnonzero(np.isin(hashes, ordered[1:][again]))
    found = [tuple(column[int(row)].as_py() for column in keys) for row in rows]
    counts = Counter(found)
    doubled = {int(row): counts[key] for row, key in zip(rows, found, strict=True) if counts[key] > 1}
    return doubled, ordered[np.append(True, ~again)]  # an element of a mask


def shared_hashes(spilled: Sequence[Path], at_once: int = 1_000_000) -> Iterator[Hashes]:
    """Yield the hashes that are in more than one of several files, or twice in one; each file is sorted.

    Memory is bounded by `at_once` hashes, about: the files are gone through side by side, range by range.
    """
    filled = [path for path in spilled if path.stat().st_size]
    hashes = sum(path.stat().st_size for path in filled) // _WORD
    ranges = max(1, -(-hashes // at_once))
    edges = np.linspace(0, 2.0**64, ranges + 1)[1:-1].astype(np.uint64)
    places = [_places(path, edges) for path in filled]
    for number in range(ranges):
        some = [
            np.fromfile(path, np.uint64, at[number + 1] - at[number], offset=8 * at[number])
            for path, at in zip(filled, places, strict=True)
        ]
        ordered = np.concatenate(some) if some else np.empty(0, np.uint64)
        ordered.sort()
        twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
        if len(twice):
            yield twice


def _places(path: Path, edges: Hashes) -> npt.NDArray[np.int64]:
    """Return where each range begins in a file, and the end."""
    # One file at a time: what is mapped stays in memory until it is not.
    hashes = np.memmap(path, np.uint64, "r")
    return np.concatenate([[0], np.searchsorted(hashes, edges), [len(hashes)]]).astype(np.int64)
