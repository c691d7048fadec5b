"""Doubles: rows of different parts with one key. They are found by hashes, and then told by their keys."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from batch_jobs.errors import UnfitDataError
from batch_jobs.keys import hash_keys, shared_hashes
from batch_jobs.partition import SCORED
from storage import file_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pyarrow as pa

    from storage import Part, Store

_SHOWN = 3
_CHARACTERS_SHOWN = 80
_WHERE = ("input_file", "input_position")


def keep_hashes(scratch: Path, parts: Sequence[Part], hashes: npt.NDArray[np.uint64]) -> None:
    """Keep the hashes of the keys of parts that were written together, in order and each once."""
    for number, part in enumerate(parts):
        # All of them lie with the first, so that what the others have in common with it is no double.
        (hashes if number == 0 else hashes[:0]).tofile(_kept(scratch, part))


def refuse_doubles(
    table_uri: str, parts: Sequence[Part], row_key: Sequence[str], store: Store, workers: int, scratch: Path
) -> None:
    """Raise `UnfitDataError` where a row that was scored has the key of another row, in another part.

    Where hashes were not kept in `scratch` (a part is of an earlier run, or of another machine), keys are
    read again. Memory is bounded: the hashes of each part lie sorted on disk, eight bytes a row.
    """

    def spill(part: Part) -> Path:
        path = _kept(scratch, part)
        if not path.exists():
            # Doubles within a part lie in one that is set aside, twice.
            np.unique(hash_keys(_keyed(table_uri, part, row_key, store))).tofile(path)
        return path

    with ThreadPoolExecutor(workers) as pool:
        files = list(pool.map(spill, parts))
    for hashes in shared_hashes(files):
        _tell(table_uri, parts, row_key, store, hashes)


def _kept(scratch: Path, part: Part) -> Path:
    return scratch / Path(part.path).name


def _keyed(table_uri: str, part: Part, row_key: Sequence[str], store: Store) -> list[pa.ChunkedArray]:
    table = file_columns(table_uri, part.path, row_key, store)
    for name in row_key:
        table = table.filter(pc.is_valid(table[name]))
    return [table[name] for name in row_key]


def _tell(
    table_uri: str,
    parts: Sequence[Part],
    row_key: Sequence[str],
    store: Store,
    hashes: npt.NDArray[np.uint64],
) -> None:
    places: dict[tuple[str, ...], list[str]] = {}
    scored: set[tuple[str, ...]] = set()
    for part in parts:
        table = file_columns(table_uri, part.path, [*row_key, *_WHERE], store)
        for name in row_key:
            table = table.filter(pc.is_valid(table[name]))
        some = np.isin(hash_keys([table[name] for name in row_key]), hashes)
        for row in table.filter(some).to_pylist():
            key = tuple(row[name] for name in row_key)
            if part.partition["outcome"] == SCORED:
                scored.add(key)
            places.setdefault(key, []).append(f"position {row['input_position']} of {row['input_file']}")
    doubled = {key: found for key, found in places.items() if len(found) > 1 and key in scored}
    if doubled:
        shown = "; ".join(
            f"{' and '.join(f'{n} {_told(v)}' for n, v in zip(row_key, key, strict=True))} is at"
            f" {' and at '.join(found[:_SHOWN])}"
            for key, found in list(doubled.items())[:_SHOWN]
        )
        raise UnfitDataError(
            f"At least {len(doubled):,} keys are of more than one row, in different parts of the input;"
            f" expected each once. Nothing is published. {shown}"
        )


def _told(value: str) -> str:
    # A key may be of any length, and hold what a terminal obeys.
    return (
        value if value.isprintable() and len(value) <= _CHARACTERS_SHOWN else repr(value[:_CHARACTERS_SHOWN])
    )
