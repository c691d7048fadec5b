"""How the input of a day is cut into splits: all of it, once, in order, and none much larger than another."""

from __future__ import annotations

import uuid
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from house import csv, parquet

from batch_jobs.splits import plan_splits

if TYPE_CHECKING:
    from storage import Store

GROUP_ROWS = 1_000


def file_of(groups: int, group_rows: int = GROUP_ROWS) -> bytes:
    rng = np.random.default_rng(1)
    return parquet({"x": rng.random(groups * group_rows)}, group_rows)


@pytest.mark.parametrize("share", [1.0, 0.9, 0.55, 0.5, 0.34, 0.07, 1e-9])
@pytest.mark.parametrize("groups", [1, 8, 63])
def test_a_large_file_is_cut_into_splits_about_as_large(store: Store, groups: int, share: float) -> None:
    root = f"s3://greenroom/{uuid.uuid4().hex}"
    body = file_of(groups)
    store.write(f"{root}/f.parquet", body)
    wanted = max(1, int(len(body) * share))
    splits = plan_splits(store.snapshot(root), store, wanted)
    assert len(splits) == min(groups, -(-len(body) // wanted))
    pieces = [piece for split in splits for piece in split.pieces]
    if len(pieces) == 1:
        assert pieces[0].groups in (None, tuple(range(groups)))
        return
    assert list(chain.from_iterable(piece.groups or () for piece in pieces)) == list(range(groups))
    sizes = [len(piece.groups or ()) for piece in pieces]
    assert max(sizes) - min(sizes) <= 1
    assert sum(split.size_bytes for split in splits) == pytest.approx(len(body), abs=groups)


def test_small_files_are_one_split_together(store: Store) -> None:
    root = f"s3://greenroom/{uuid.uuid4().hex}"
    for number in range(5):
        store.write(f"{root}/{number}.csv", csv([("1", "AA", "50", "5")]))
    assert [len(split.pieces) for split in plan_splits(store.snapshot(root), store)] == [5]


def test_a_csv_file_is_never_cut(store: Store) -> None:
    root = f"s3://greenroom/{uuid.uuid4().hex}"
    store.write(f"{root}/f.csv", csv([("1", "AA", "50", "5")] * 100))
    assert [split.pieces[0].groups for split in plan_splits(store.snapshot(root), store, 1)] == [None]


def test_groups_without_rows_are_no_split_of_their_own(store: Store) -> None:
    root = f"s3://greenroom/{uuid.uuid4().hex}"
    store.write(f"{root}/f.parquet", parquet({"x": pa.array([], pa.float64())}, 10))
    assert len(plan_splits(store.snapshot(root), store, 1)) == 1
