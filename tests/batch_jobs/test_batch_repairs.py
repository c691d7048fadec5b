"""Repaired rows stand in for others, cell for cell, and no row is lost or doubled by it."""

from __future__ import annotations

import csv as csv_files
import datetime as dt
import io
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from house import House, csv, parquet
from hypothesis import given
from hypothesis import strategies as st
from tiny_model import between, rules_of, scorer

from batch_jobs.errors import UnfitDataError
from batch_jobs.mending.handed_in import guarded, read_handed_in, unguarded
from batch_jobs.mending.repairs import (
    REPAIRS,
    Repair,
    Repairs,
    keep,
    read_repairs,
    repair_notes,
    repaired_days,
)
from storage import BrokenRow, RowBatch

if TYPE_CHECKING:
    from pathlib import Path

    from storage import S3Settings, Store

DAY = dt.date(2013, 7, 1)


def repair(position: int, file: str = "f", etag: str = "e", cell: str | None = "mended") -> Repair:
    return Repair(file, etag, position, {"a": cell})


@given(st.text(max_size=8))
def test_what_is_guarded_is_no_formula_and_comes_back(cell: str) -> None:
    written = guarded(cell)
    assert written is not None
    assert unguarded(written) == cell
    if not written.lstrip("-").replace(".", "").replace("e", "").replace("E", "").isdecimal():
        assert not written.startswith(("=", "+", "@", "\t", "\r")) or written[1:].isdecimal()


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1", "'+1"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("'=1", "''=1"),
        ("-10.5", "-10.5"),
        ("-1e-3", "-1e-3"),
        ("'tis", "'tis"),
        ("plain", "plain"),
    ],
)
def test_only_formulas_are_guarded(cell: str, written: str) -> None:
    assert guarded(cell) == written


@given(st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30)))
def test_every_position_is_there_once_repaired_or_not(
    readable: set[int], broken: set[int], repaired: set[int]
) -> None:
    broken = broken - readable
    positions = np.array(sorted(readable), np.int64)
    lines = tuple(BrokenRow(position, "x,y", ("has 2 columns",)) for position in sorted(broken))
    batch = RowBatch(pa.table({"a": pa.array([1.5] * len(readable), pa.float64())}), positions, lines)
    repairs = Repairs({"f": {position: repair(position) for position in repaired}} if repaired else {})
    found = list(repairs.applied("f", batch))
    there = [*np.concatenate([b.positions for b in found]), *(r.position for b in found for r in b.broken)]
    assert sorted(there) == sorted(readable | broken)
    mended = [int(p) for b in found[1:] for p in b.positions]
    assert set(mended) == repaired & (readable | broken)
    assert all(b.table["a"].to_pylist() == ["mended"] * len(b.positions) for b in found[1:])
    assert list(repairs.applied("another", batch)) == [batch]


def test_the_later_of_two_repairs_counts_and_another_delivery_makes_them_void(store: Store) -> None:
    table = "s3://greenroom/repairs/table"
    store.write("s3://greenroom/repairs/in/f.csv", b"a\n1\n")
    snapshot = store.snapshot("s3://greenroom/repairs/in")
    (pinned,) = snapshot.objects
    assert read_repairs(table, DAY, snapshot, store).digest == ""
    notes = repair_notes(table, DAY, store)
    rows = [repair(n, pinned.uri, pinned.etag) for n in range(3)]
    assert [keep(rows, {}, notes), keep([replace(rows[1], cells={"a": "again"})], {}, notes)] == [
        "000001",
        "000002",
    ]
    found = read_repairs(table, DAY, snapshot, store)
    assert [(r.name, r.cells["a"]) for _, r in sorted(found.rows[pinned.uri].items())] == [
        ("000001", "mended"),
        ("000002", "again"),
        ("000001", "mended"),
    ]
    assert (len(found), found.warnings, found.name(pinned.uri, 1)) == (3, (), "000002")
    assert found.digest != replace(found, rows={pinned.uri: {0: rows[0]}}).digest
    assert repaired_days(table, store) == {DAY}
    store.write("s3://greenroom/repairs/in/f.csv", b"a\n2\n")
    later = read_repairs(table, DAY, store.snapshot("s3://greenroom/repairs/in"), store)
    assert (len(later), later.digest) == (0, "")
    (said,) = later.warnings
    assert said == f"3 repaired rows of {pinned.uri} are void: it was delivered again, or taken away, since"
    assert [each.uri for each in store.snapshot(f"{table}/{REPAIRS}").objects]


def write(folder: Path, rows: list[list[str]], name: str = "mended.csv") -> str:
    text = io.StringIO()
    csv_files.writer(text).writerows(rows)
    (folder / name).write_text(text.getvalue())
    return str(folder / name)


HEADER = ["input_file", "input_position", "id", "quarantined_because"]


def test_handed_in_cells_are_text_and_empty_ones_null(store: Store, tmp_path: Path) -> None:
    rows = [HEADER, ["s3://b/f", "3", "'=x", "why"], ["s3://b/f", "4", "", ""]]
    found = read_handed_in(write(tmp_path, rows), ("id",), store)
    assert found.columns == ("id",)
    assert found.rows == {("s3://b/f", 3): {"id": "=x"}, ("s3://b/f", 4): {"id": None}}


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([["id"], ["a"]], "has no column 'input_file'; expected input_file and input_position"),
        ([HEADER], "has no rows; expected at least 1"),
        ([HEADER, ["f", "1", "a", ""], ["f", "1", "b", ""]], "repairs position 1 of f more than once"),
        ([HEADER, ["f", "1.0", "a", ""]], "row 0 has the input_position '1.0'; expected a whole number"),
        ([HEADER, ["f", "", "a", ""]], "row 0 has the input_position None"),
        ([HEADER, ["f", "1", "a"]], "row 0 has 3 columns, expected 4; mend that first"),
    ],
)
def test_rows_that_cannot_be_handed_in(
    store: Store, tmp_path: Path, rows: list[list[str]], says: str
) -> None:
    with pytest.raises(UnfitDataError) as refused:
        read_handed_in(write(tmp_path, rows), ("id",), store)
    assert "mended.csv" in str(refused.value)
    assert says in str(refused.value)


def test_a_fraction_is_no_key(store: Store, tmp_path: Path) -> None:
    table = pa.table({"input_file": ["f"], "input_position": [1], "id": [1.0], "x": [2.5]})
    pq.write_table(table, tmp_path / "m.parquet")
    with pytest.raises(
        UnfitDataError, match=r"row 0 has 1\.0 in the key column 'id'; expected text or a whole"
    ):
        read_handed_in(str(tmp_path / "m.parquet"), ("id",), store)
    assert read_handed_in(str(tmp_path / "m.parquet"), (), store).rows["f", 1] == {"id": "1.0", "x": "2.5"}


def test_a_file_that_is_not_there_is_named(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UnfitDataError, match=r"gone\.csv cannot be read: No such file"):
        read_handed_in(str(tmp_path / "gone.csv"), (), store)


@pytest.mark.parametrize("split_bytes", [1, 2**20])
def test_a_repaired_day_is_what_it_would_be_had_it_been_delivered_so(
    s3: S3Settings, store: Store, tmp_path: Path, split_bytes: int
) -> None:
    house = House(store, s3, scorer(), tmp_path)
    rules = rules_of(tmp_path, [between("temp", -50, 120)], [between("prediction", 0, 1)])
    names = ("id", "carrier", "distance", "temp")
    lines = [(f"k{n}", "AA", str(100 * n), "50") for n in range(9)]
    bad = [*lines[:2], ("k2", "AA", "far", "50"), ("", *lines[3][1:]), ("k4", "AA"), *lines[5:8], lines[7]]
    # Of the five that are bad, one is mended for nothing, and one takes the key of another.
    mended = {2: lines[2], 3: ("k1", *lines[3][1:]), 4: lines[4], 8: ("k8", "AA", "800", "400")}
    so = [mended.get(n, line) for n, line in enumerate(bad)]
    typed = pa.table({name: [line[nth] for line in lines] for nth, name in enumerate(names)})
    typed = typed.set_column(3, "temp", pa.array([50.0, 400.0, *[50.0] * 7]))
    typed = typed.set_column(0, "id", pa.array([f"p{n}" for n in range(9)]))
    better = typed.set_column(3, "temp", pa.array([50.0] * 9))
    cells = {
        **{("f.csv", n): dict(zip(names, line, strict=True)) for n, line in mended.items()},
        ("g.parquet", 1): {"id": "p1", "carrier": "AA", "distance": "100", "temp": "50.0"},
    }
    spoilt = {"f.csv": csv(bad), "g.parquet": parquet(dict(zip(names, typed.columns, strict=True)))}
    sound = {"f.csv": csv(so), "g.parquet": parquet(dict(zip(names, better.columns, strict=True)))}
    found, expected = (
        house.score(files, rules, split_bytes, some) for files, some in ((spoilt, cells), (sound, None))
    )
    told = ("input_file", "input_position", "outcome", "id", "prediction", "reasons", "row")
    assert sorted(([r[n] for n in told] for r in found.rows), key=str) == sorted(
        ([r[n] for n in told] for r in expected.rows), key=str
    )
    assert (found.result.rows, found.result.repaired, expected.result.repaired) == (18, 5, 0)
    repaired = {(r["input_file"], r["input_position"]) for r in found.rows if r["repair"] == "000001"}
    assert repaired == cells.keys()
    assert {r["repair"] for r in expected.rows} == {None}
    assert len([r for r in found.rows if r["outcome"] == "quarantined"]) == 3
