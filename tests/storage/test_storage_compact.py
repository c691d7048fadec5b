"""Days that are over in one file each: beside writers, beside others who join, through failures of S3."""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from faulty_s3 import Fault, FaultyS3, Request, faulty_s3

from storage import (
    CommitConflictError,
    Compacted,
    Part,
    S3Settings,
    StorageUnavailableError,
    append,
    append_rows,
    compact_days,
    last_appended,
    live_files,
    write_part,
)

BY = ["date"]
DAY, NEXT = "2013-07-01", "2013-07-02"
OVER = dt.date(2013, 7, 2)


@pytest.fixture
def table(s3: S3Settings) -> str:
    assert s3.endpoint
    return f"s3://greenroom/{uuid.uuid4().hex}/table"


@pytest.fixture(scope="module")
def faulty(s3: S3Settings) -> Iterator[FaultyS3]:
    with faulty_s3(s3) as proxy:
        yield proxy


def rows(*numbers: int, date: str = DAY) -> pa.Table:
    return pa.table({"date": [date] * len(numbers), "number": pa.array(numbers, pa.int64())})


def found(table: str, s3: S3Settings) -> list[int]:
    read = DeltaTable(table, storage_options=s3.delta_options()).to_pyarrow_table(columns=["number"])
    return sorted(read["number"].to_pylist())


def files(table: str, s3: S3Settings) -> dict[str, int]:
    return dict(Counter(file.partition["date"] for file in live_files(table, [], s3) or ()))


def fill(table: str, s3: S3Settings, last: int) -> None:
    for number in range(1, last + 1):
        append_rows(table, rows(number), BY, "one", number, s3)


def test_days_that_are_over_become_one_file_each_and_lose_nothing(table: str, s3: S3Settings) -> None:
    today = dt.date(2013, 7, 3)
    assert compact_days(table, today, s3) is None
    for number in range(1, 10):
        append_rows(table, rows(number, date=f"2013-07-{1 + number % 3:02d}"), BY, "one", number, s3)
    assert compact_days(table, today, s3) == Compacted(removed=6, added=2)
    assert compact_days(table, today, s3) == Compacted(removed=0, added=0)
    assert found(table, s3) == [*range(1, 10)]
    assert files(table, s3) == {DAY: 1, NEXT: 1, "2013-07-03": 3}
    # Whoever appends knows as before what was appended.
    assert last_appended(table, "one", s3) == 9
    assert not append_rows(table, rows(9), BY, "one", 9, s3)
    assert append_rows(table, rows(10), BY, "one", 10, s3)
    assert found(table, s3) == [*range(1, 11)]


def test_writers_of_another_day_hold_it_up_by_a_moment_and_those_of_this_one_are_read(
    table: str, s3: S3Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(table, s3, 3)
    writes: list[pa.Table] = [rows(4, date=NEXT), rows(5), rows(6, date=NEXT)]
    made: list[Part] = []

    def write_and_append(*arguments: Any) -> Part:
        part = write_part(*arguments)
        assert part is not None
        made.append(part)
        if writes:
            append_rows(table, writes.pop(0), BY, "one", 7 - len(writes), s3)
        return part

    monkeypatch.setattr("storage.compact.write_part", write_and_append)
    assert compact_days(table, OVER, s3) == Compacted(removed=3, added=1)
    # What was written beside it changed nothing of what had been read.
    assert len(made) == 1
    append_rows(table, rows(7), BY, "two", 1, s3)
    assert compact_days(table, OVER, s3) == Compacted(removed=3, added=1)
    assert [each.rows for each in made] == [3, 4, 5]
    assert found(table, s3) == [*range(1, 8)]
    assert files(table, s3) == {DAY: 1, NEXT: 2}


def test_an_append_that_comes_second_to_it_is_made_again(
    table: str, s3: S3Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(table, s3, 3)
    send = append._append
    tried: list[Any] = []

    def compact_and_send(*arguments: Any) -> None:
        if not tried:
            assert compact_days(table, OVER, s3) == Compacted(removed=3, added=1)
        tried.append(arguments)
        send(*arguments)

    monkeypatch.setattr(append, "_append", compact_and_send)
    assert append_rows(table, rows(4), BY, "one", 4, s3)
    assert len(tried) == 2
    assert found(table, s3) == [1, 2, 3, 4]
    assert last_appended(table, "one", s3) == 4


def test_of_those_who_join_at_once_one_wins(table: str, s3: S3Settings) -> None:
    fill(table, s3, 12)
    begin = threading.Barrier(3)

    def join(_: int) -> Compacted | None:
        begin.wait()
        try:
            return compact_days(table, OVER, s3)
        except CommitConflictError:
            return None

    with ThreadPoolExecutor(3) as pool:
        said = list(pool.map(join, range(3)))
    assert Compacted(removed=12, added=1) in said
    assert found(table, s3) == [*range(1, 13)]
    assert files(table, s3) == {DAY: 1}


def is_commit(request: Request) -> bool:
    return request.method in {"PUT", "POST"} and "/_delta_log/" in request.path


def is_part(request: Request) -> bool:
    return request.method in {"PUT", "POST"} and "/_delta_log/" not in request.path


def is_read(request: Request) -> bool:
    return request.method == "GET" and ".parquet" in request.path


@pytest.mark.parametrize("when", [is_commit, is_part, is_read])
@pytest.mark.parametrize("fault", Fault)
def test_whatever_s3_does_no_row_is_lost_or_doubled(
    table: str, s3: S3Settings, faulty: FaultyS3, fault: Fault, when: Any
) -> None:
    fill(table, s3, 3)
    faulty.fail(fault, at=when)
    for _ in range(2):
        try:
            compact_days(table, OVER, faulty.settings)
            break
        except StorageUnavailableError:
            assert found(table, s3) == [1, 2, 3]
    assert faulty.failed
    assert found(table, s3) == [1, 2, 3]
    assert files(table, s3) == {DAY: 1}
