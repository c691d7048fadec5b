"""Rows of files: every row is read or set aside, at its own position, and what is no file is refused."""

import codecs
import io
import os
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage import ObjectChangedError, RowBatch, UnreadableFileError, read_rows, row_groups
from storage.utf8 import MARK, Utf8File

EXAMPLES = 2000 if os.environ.get("GREENROOM_EXHAUSTIVE") else 150


def read(body: bytes, name: str = "x.csv") -> list[RowBatch]:
    return list(read_rows(io.BytesIO(body), name))


def rows_of(batches: list[RowBatch]) -> dict[int, list[str | None]]:
    """Give the readable rows by position."""
    return {
        int(position): list(row.values())
        for batch in batches
        for position, row in zip(batch.positions, batch.table.to_pylist(), strict=True)
    }


def broken_of(batches: list[RowBatch]) -> dict[int, tuple[str, str]]:
    return {row.position: (row.text, row.reasons[0]) for batch in batches for row in batch.broken}


def parquet(table: pa.Table, **options: object) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return buffer.getvalue()


cells = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=6)
lines = st.none() | st.lists(cells, min_size=1, max_size=5)  # None: a blank line


def written(cell: str, *, always: bool) -> str:
    quote = always or any(mark in cell for mark in ',"\n') or not cell.strip()
    return '"' + cell.replace('"', '""') + '"' if quote else cell


@given(
    width=st.integers(1, 4),
    body=st.lists(lines, max_size=60),
    end=st.sampled_from(["\n", "\r\n"]),
    block_bytes=st.sampled_from([256, 600, 2**20]),
    always=st.booleans(),
    ends=st.booleans(),
)
@settings(max_examples=EXAMPLES)
def test_every_row_is_read_or_set_aside_at_its_own_position(
    *, width: int, body: list[list[str] | None], end: str, block_bytes: int, always: bool, ends: bool
) -> None:
    text = [",".join(f"c{number}" for number in range(width))]
    text += [",".join(written(cell, always=always) for cell in line or ()) for line in body]
    data = end.join(text).encode() + (end.encode() if ends or len(text) == 1 else b"")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("storage.csv_rows._BLOCK_BYTES", block_bytes)
        batches = read(data)

    expected = [line for line in body if line is not None]
    whole = {
        position: [cell or None for cell in line]
        for position, line in enumerate(expected)
        if len(line) == width
    }
    ragged = {
        position: f"has {len(line)} columns, expected {width}"
        for position, line in enumerate(expected)
        if len(line) != width
    }
    assert rows_of(batches) == whole
    assert {position: reason for position, (_, reason) in broken_of(batches).items()} == ragged
    in_order = [int(position) for batch in batches for position in batch.positions]
    assert in_order == sorted(whole)
    assert all(batch.positions.dtype == np.int64 for batch in batches)


def test_positions_hold_where_the_parser_reads_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.csv_rows._BLOCK_BYTES", 16)
    body = b"a,b\n" + b"".join(b"%d\n" % i if i % 3 == 0 else b"%d,%d\n" % (i, i) for i in range(100))
    batches = read(body)
    assert len(batches) > 5
    assert rows_of(batches) == {i: [str(i), str(i)] for i in range(100) if i % 3}
    assert broken_of(batches) == {i: (str(i), "has 1 columns, expected 2") for i in range(100) if i % 3 == 0}


@pytest.mark.parametrize(
    ("body", "rows", "broken"),
    [
        (b"a,b\n1,2\n\n3,4,5\n6,7\n", {0: ["1", "2"], 2: ["6", "7"]}, {1: "3,4,5"}),
        (b"a,b\r\n1,2\r\n\r\n\r\n3\r\n4,5", {0: ["1", "2"], 2: ["4", "5"]}, {1: "3"}),
        (b"a,b\n1,2\n \n3,4\n", {0: ["1", "2"], 2: ["3", "4"]}, {1: " "}),
        (b"a,b\r1,2\r3,4\r", {0: ["1", "2"], 1: ["3", "4"]}, {}),
        (b"a,b\n1,2\r\n3,4\r5,6\n", {0: ["1", "2"], 1: ["3", "4"], 2: ["5", "6"]}, {}),
        (codecs.BOM_UTF8 + b"a,b\n1,2\n", {0: ["1", "2"]}, {}),
        (b'a,b\n"1,5","x\ny"\n3\n', {0: ["1,5", "x\ny"]}, {1: "3"}),
        (b'a,b\n007,""\n', {0: ["007", None]}, {}),
        (b"a,b\nNA,null\n", {0: ["NA", "null"]}, {}),
        (b"a,b\n1e300,\0\n", {0: ["1e300", "\0"]}, {}),
        (b"a,b\n1\n2\n", {}, {0: "1", 1: "2"}),
        (b"a,b\n", {}, {}),
    ],
)
def test_csv_as_it_comes(body: bytes, rows: dict[int, list[str | None]], broken: dict[int, str]) -> None:
    batches = read(body)
    assert {name for batch in batches for name in batch.table.column_names} == {"a", "b"}
    assert all(field.type == pa.string() for batch in batches for field in batch.table.schema)
    assert rows_of(batches) == rows
    assert {position: text for position, (text, _) in broken_of(batches).items()} == broken


def test_wrong_delimiter_is_one_column() -> None:
    assert rows_of(read(b"a;b\n1;2\n")) == {0: ["1;2"]}


WHOLE = parquet(pa.table({"a": list(range(1000)), "b": [str(i) for i in range(1000)]}))


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("x.csv", b"", "is not a whole CSV file: no header line found. Deliver it again"),
        ("x.csv", b"\n1,2\n", "no header line found"),
        ("x.csv", b"a,b", "is not a whole CSV file"),
        ("x.csv", "a,b\n1,2\n".encode("utf-16"), "is not a whole CSV file"),
        ("x.csv", "a,b\n1,2\n".encode("utf-16-le"), "is not a whole CSV file"),
        ("x.csv", "a,é\n1,2\n".encode("latin-1"), r"the header is not UTF-8: a,\xe9; expected UTF-8 text"),
        ("x.csv", b"\x1f\x8b\x08\0", "it is compressed by gzip; expected UTF-8 text"),
        ("x.csv", b'"a\nb",c\n1,007\n', "a quote is opened in the header and not closed in its line"),
        ("x.csv", b'a,b\n1,"2\n3,4\n5,"6"\n', "a quoted value that ends at line 4 has no sound end"),
        ("x.csv", b'a,b\n1,"2\n3,4\n5,6\n', "a quote is opened and never closed, so rows are lost in it"),
        ("x.csv", b"a,b,a\n1,2,3\n", "has the column 'a' more than once; column names must be unique"),
        ("x.parquet", b"", "is not a whole PARQUET file"),
        ("x.parquet", b"a,b\n1,2\n", "is not a whole PARQUET file"),
        ("x.parquet", WHOLE[:-1], "is not a whole PARQUET file"),
        ("x.parquet", WHOLE[: len(WHOLE) // 2], "is not a whole PARQUET file"),
        ("x.parquet", WHOLE[:-4] + b"PAR2", "is not a whole PARQUET file"),
        ("x.parquet", WHOLE[:4] + b"\xff" * 400 + WHOLE[404:], "is not a whole PARQUET file"),
        ("x.json", b"{}", "its name ends in 'json'; expected .parquet or .csv"),
        ("no-ending", b"{}", "expected .parquet or .csv"),
    ],
)
def test_what_cannot_be_read_is_named(name: str, body: bytes, said: str) -> None:
    with pytest.raises(UnreadableFileError) as refused:
        read(body, f"s3://b/{name}")
    assert str(refused.value).startswith(f"s3://b/{name} ")
    assert said in str(refused.value)


def test_bytes_that_are_no_utf_8_set_their_row_aside_and_are_kept() -> None:
    batches = read(b"a,b\n1,2\n3,caf\xe9\\n\n\xff,\n4,\xe9,5\nx,\xc3\xa9\n")
    assert rows_of(batches) == {0: ["1", "2"], 4: ["x", "é"]}
    assert broken_of(batches) == {
        1: (r"3,caf\xe9\\n", r"b is not UTF-8: 'caf\xe9\\n'"),
        2: (r"\xff,", r"a is not UTF-8: '\xff'"),
        3: (r"4,\xe9,5", "has 3 columns, expected 2"),
    }
    (first, *_) = (row for batch in batches for row in batch.broken)
    assert first.cells == {"a": "3", "b": r"caf\xe9\\n"}


@given(text=st.binary(max_size=40), block_bytes=st.integers(1, 9))
@settings(max_examples=EXAMPLES)
def test_text_is_read_as_python_reads_it_wherever_it_is_cut(text: bytes, block_bytes: int) -> None:
    file, found = Utf8File(io.BytesIO(text)), b""
    while piece := file.read(block_bytes):
        assert len(piece) <= block_bytes
        found += piece
    expected = text.decode("utf-8", "surrogateescape")
    back = re.sub(f"{MARK}(..)", lambda digits: chr(0xDC00 + int(digits[1], 16)), found.decode())
    assert back == expected
    assert file.is_marked == any("\udc80" <= letter <= "\udcff" for letter in expected)


def test_a_quoted_value_over_lines_at_the_end_is_whole() -> None:
    assert rows_of(read(b'a,b\n1,"2\n"\n')) == {0: ["1", "2\n"]}
    assert rows_of(read(b'a,b\n1,"2 ""inches""\n"')) == {0: ["1", '2 "inches"\n']}


def test_a_value_larger_than_a_block_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.csv_rows._BLOCK_BYTES", 64)
    with pytest.raises(UnreadableFileError, match=r"a row is larger than .* MiB; perhaps a quote is opened"):
        read(b"a,b\n1,2\n3," + b"x" * 500 + b"\n4,5\n")


@settings(max_examples=40)
@given(length=st.integers(0, len(WHOLE) - 1))
def test_a_truncated_parquet_file_is_never_read(length: int) -> None:
    with pytest.raises(UnreadableFileError, match="is not a whole PARQUET file"):
        read(WHOLE[:length], "x.parquet")


def test_parquet_columns_of_one_name() -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pytest.raises(UnreadableFileError, match="has the column 'a' more than once"):
        read(parquet(table), "x.parquet")
    with pytest.raises(UnreadableFileError, match="has the column 'a' more than once"):
        read(parquet(table.slice(0, 0)), "x.parquet")


def test_parquet_rows_have_their_positions_and_types(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.parquet_rows._BATCH_ROWS", 300)
    table = pa.table({"n": pa.array([None, *range(999)], pa.int16()), "t": pa.array(["x"] * 1000)})
    batches = read(parquet(table, row_group_size=250), "dir.csv/X.PARQUET")
    assert len(batches) > 3
    assert np.concatenate([batch.positions for batch in batches]).tolist() == list(range(1000))
    assert pa.concat_tables([batch.table for batch in batches]).equals(table)
    assert not any(batch.broken for batch in batches)


def test_parquet_without_rows_has_its_columns() -> None:
    empty = pa.table({"n": pa.array([], pa.int64()), "nested": pa.array([], pa.list_(pa.float64()))})
    (batch,) = read(parquet(empty), "x.parquet")
    assert (batch.table.schema, len(batch.table), len(batch.positions)) == (empty.schema, 0, 0)


COUNTED = parquet(
    pa.table({"n": list(range(1000)), "word": [str(n) for n in range(1000)]}), row_group_size=130
)


@pytest.mark.parametrize("fetch_bytes", [1, 2**10, 2**30])
@pytest.mark.parametrize("large_bytes", [1, 2**30])
@given(
    groups=st.none() | st.lists(st.integers(0, 7), unique=True).map(sorted),
    columns=st.sampled_from([None, ["n"], ["word", "n"]]),
)
@settings(max_examples=max(10, EXAMPLES // 10))
def test_row_groups_are_read_alone_and_keep_their_positions(
    fetch_bytes: int, large_bytes: int, groups: list[int] | None, columns: list[str] | None
) -> None:
    assert row_groups(io.BytesIO(COUNTED), "x.parquet") == (130,) * 7 + (90,)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("storage.parquet_rows._FETCH_BYTES", fetch_bytes)
        patch.setattr("storage.parquet_rows._LARGE_GROUP_BYTES", large_bytes)
        patch.setattr("storage.parquet_rows._BATCH_ROWS", 60)
        batches = list(read_rows(io.BytesIO(COUNTED), "x.parquet", groups, columns))
    chosen = range(8) if groups is None else groups
    expected = [n for group in chosen for n in range(group * 130, min(1000, group * 130 + 130))]
    assert [n for batch in batches for n in batch.positions] == expected
    assert [n for batch in batches for n in batch.table["n"].to_pylist()] == expected
    assert {tuple(batch.table.column_names) for batch in batches} == {tuple(columns or ["n", "word"])}


@pytest.mark.parametrize(
    ("groups", "columns", "said"),
    [
        ([3, 8], None, r"x\.parquet .*has 8 row groups, and not one numbered 8 \(from 0\)"),
        ([-1], None, "not one numbered -1"),
        (None, ["n", "gone"], r"has the column 'gone' 0 times, expected once; its columns are n, word"),
    ],
)
def test_row_groups_and_columns_that_are_not_there(
    groups: list[int] | None, columns: list[str] | None, said: str
) -> None:
    with pytest.raises(UnreadableFileError, match=said):
        list(read_rows(io.BytesIO(COUNTED), "x.parquet", groups, columns))


def test_a_csv_file_has_no_row_groups() -> None:
    with pytest.raises(UnreadableFileError, match=r"x\.csv .*only Parquet files have row groups"):
        row_groups(io.BytesIO(b"a\n1\n"), "x.csv")
    with pytest.raises(UnreadableFileError, match="only of Parquet files can some row groups or columns"):
        list(read_rows(io.BytesIO(b"a\n1\n"), "x.csv", columns=["a"]))
    with pytest.raises(UnreadableFileError, match=r"x\.parquet is not a whole PARQUET file"):
        row_groups(io.BytesIO(b"a\n1\n"), "x.parquet")


class Failing(io.BytesIO):
    """A file that cannot be read on behind its first `whole` bytes."""

    def __init__(self, body: bytes, whole: int) -> None:
        super().__init__(body[:whole])

    def read(self, size: int | None = -1) -> bytes:
        found = super().read(16 if size is None or size < 0 else min(size, 16))
        if not found:
            raise ObjectChangedError("it was replaced since it was listed")
        return found


@pytest.mark.parametrize("whole", [9, 40, 41, 42, 43, 200])
def test_a_file_that_cannot_be_read_on_gives_whole_rows_and_then_the_reason(
    whole: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.csv_rows._BLOCK_BYTES", 32)
    seen: list[RowBatch] = []
    with pytest.raises(ObjectChangedError, match="it was replaced since it was listed"):
        seen.extend(read_rows(Failing(b"a,b\n" + b"12,34\n" * 100, whole), "x.csv"))
    rows = rows_of(seen)
    assert rows == {position: ["12", "34"] for position in range(len(rows))}
    assert broken_of(seen) == {}
    assert len(rows) <= whole // 6


def test_arrow_is_told_of_an_end_and_never_of_a_failure() -> None:
    # Its thread that reads ahead may wait for itself otherwise, and the process does not end.
    file = Utf8File(Failing(b"a,b\n1,2\n", 6))
    assert [file.read(64), file.read(64), file.read(64)] == [b"a,b\n1,", b"", b""]
    assert isinstance(file.failure, ObjectChangedError)
