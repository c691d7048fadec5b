"""Rows of one key are found, wherever they lie, and no others."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from batch_jobs.keys import hash_keys, repeated, shared_hashes

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = st.one_of(st.sampled_from(["", "a", "aa", "a\0", "abcdefgh", "abcdefghi"]), st.text(max_size=40))
KEYS = st.lists(st.tuples(TEXTS, TEXTS), max_size=40)


def columns(keys: list[tuple[str, str]], cut: int) -> list[pa.ChunkedArray]:
    def one(nth: int) -> pa.ChunkedArray:
        values = [key[nth] for key in keys]
        # A slice of a longer array: its offsets do not begin at 0.
        tail = pa.array(["before", *values[cut:]], pa.string()).slice(1)
        return pa.chunked_array([pa.array(values[:cut], pa.string()), tail])

    return [one(0), one(1)]


@given(KEYS, st.integers(0, 40))
def test_all_rows_of_a_repeated_key_are_found_with_their_number(
    keys: list[tuple[str, str]], cut: int
) -> None:
    counts = Counter(keys)
    expected = {row: counts[key] for row, key in enumerate(keys) if counts[key] > 1}
    found, hashes = repeated(columns(keys, cut))
    assert found == expected
    assert hashes.tolist() == sorted(set(hash_keys(columns(keys, cut)).tolist()))


@given(KEYS, st.integers(0, 40), st.integers(0, 40))
def test_the_hash_of_a_key_does_not_depend_on_where_it_lies(
    keys: list[tuple[str, str]], cut: int, other: int
) -> None:
    assert hash_keys(columns(keys, cut)).tolist() == hash_keys(columns(keys, other)).tolist()


def test_keys_of_one_text_differ_in_their_hashes() -> None:
    numbers = [f"{n:07d}" for n in range(200_000)]
    assert len(np.unique(hash_keys([pa.chunked_array([numbers])]))) == len(numbers)
    # What belongs to which column matters, and so does how long each text is.
    pairs = [("a", "b"), ("b", "a"), ("ab", ""), ("", "ab"), ("a\0", "b"), ("a", "\0b")]
    assert len(np.unique(hash_keys(columns(pairs, 3)))) == len(pairs)


@given(st.lists(st.lists(st.integers(0, 30), max_size=20), max_size=5), st.integers(1, 40))
def test_hashes_of_more_than_one_file_are_found_in_bounded_memory(
    tmp_path_factory: object, files: list[list[int]], at_once: int
) -> None:
    folder: Path = tmp_path_factory.mktemp("spilled")  # type: ignore[attr-defined]  # pytest's own
    # Spread over all of the range, its ends too.
    spread = [np.sort(np.array(file, np.uint64) * np.uint64(2**64 // 30 - 1)) for file in files]
    for number, hashes in enumerate(spread):
        hashes.tofile(folder / str(number))
    found = [
        int(h) for part in shared_hashes([folder / str(n) for n in range(len(files))], at_once) for h in part
    ]
    counts = Counter(int(h) for hashes in spread for h in hashes)
    assert sorted(found) == sorted(value for value, count in counts.items() if count > 1)
