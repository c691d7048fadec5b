"""Tables of one commit: streamed in, streamed out in order, and never written twice."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from storage import (
    CommitConflictError,
    ObjectNotFoundError,
    S3Settings,
    Written,
    find_written,
    stream_rows,
    write_once,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA = pa.schema([("n", pa.int64()), ("word", pa.string())])


@pytest.fixture
def table(s3: S3Settings) -> str:
    assert s3.endpoint
    return f"s3://greenroom/{uuid.uuid4().hex}/once"


def numbered(first: int, last: int, word: str = "w") -> pa.Table:
    rows = range(first, last)
    return pa.table([list(rows), [f"{word}{n}" for n in rows]], schema=SCHEMA)


def stream(*tables: pa.Table) -> Iterator[pa.RecordBatch]:
    for each in tables:
        yield from each.to_batches()


def test_what_goes_in_comes_out_in_order_and_cut_alike(s3: S3Settings, table: str) -> None:
    assert find_written(table, s3) is None
    rows = stream(numbered(0, 7), numbered(7, 8), numbered(8, 25))
    assert write_once(table, SCHEMA, rows, s3) == find_written(table, s3) == Written(25, "")
    found = list(stream_rows(table, ["word", "n"], 10, s3))
    assert [len(part) for part in found] == [10, 10, 5]
    assert pa.concat_tables(found).equals(numbered(0, 25).select(["word", "n"]))


def test_it_is_written_once(s3: S3Settings, table: str) -> None:
    write_once(table, SCHEMA, stream(numbered(0, 3)), s3)
    with pytest.raises(CommitConflictError) as refusal:
        write_once(table, SCHEMA, stream(numbered(0, 9)), s3)
    assert str(refusal.value) == f"Could not write {table}: there is a table already"
    assert find_written(table, s3) == Written(3, "")


def test_what_is_added_later_is_no_part_of_it(s3: S3Settings, table: str) -> None:
    write_once(table, SCHEMA, stream(numbered(0, 3)), s3, lambda: "three rows")
    write_deltalake(table, numbered(3, 5), mode="append", storage_options=s3.delta_options())
    assert find_written(table, s3) == Written(3, "three rows")
    assert pa.concat_tables(stream_rows(table, ["n", "word"], 10, s3)).equals(numbered(0, 3))


def test_of_writers_at_once_one_wins(s3: S3Settings, table: str) -> None:
    def write(writer: int) -> bool:
        try:
            write_once(table, SCHEMA, stream(numbered(0, 1000, f"writer {writer} ")), s3)
        except CommitConflictError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        won = [*pool.map(write, range(4))]
    assert won.count(True) == 1
    (found,) = stream_rows(table, ["word"], 1000, s3)
    assert set(found["word"].to_pylist()) == {f"writer {won.index(True)} {n}" for n in range(1000)}


def test_a_stream_that_breaks_writes_nothing(s3: S3Settings, table: str) -> None:
    def broken() -> Iterator[pa.RecordBatch]:
        yield from numbered(0, 5).to_batches()
        raise ValueError("upstream is gone")

    with pytest.raises(ValueError, match="upstream is gone"):
        write_once(table, SCHEMA, broken(), s3)
    assert find_written(table, s3) is None


def test_files_that_are_gone_are_said_to_be(s3: S3Settings, table: str) -> None:
    with pytest.raises(ObjectNotFoundError, match="there is no table there"):
        list(stream_rows(table, ["n"], 10, s3))
