"""Rows appended exactly once: again, side by side, and through every failure of S3."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from faulty_s3 import Fault, FaultyS3, Request, faulty_s3

from storage import S3Settings, StorageError, append_rows, last_appended

BY = ["date"]


@pytest.fixture
def table(s3: S3Settings) -> str:
    assert s3.endpoint
    return f"s3://greenroom/{uuid.uuid4().hex}/table"


def rows(*numbers: int, date: str = "2013-07-01") -> pa.Table:
    return pa.table({"date": [date] * len(numbers), "number": pa.array(numbers, pa.int64())})


def found(table: str, s3: S3Settings) -> list[int]:
    read = DeltaTable(table, storage_options=s3.delta_options()).to_pyarrow_table(columns=["number"])
    return sorted(read["number"].to_pylist())


def test_an_append_that_is_asked_for_again_is_there_once(table: str, s3: S3Settings) -> None:
    assert last_appended(table, "one", s3) == 0
    assert append_rows(table, rows(1, 2), BY, "one", 1, s3)
    assert not append_rows(table, rows(1, 2), BY, "one", 1, s3)
    assert append_rows(table, rows(3, date="2013-07-02"), BY, "one", 2, s3)
    assert append_rows(table, rows(4), BY, "two", 1, s3)
    assert found(table, s3) == [1, 2, 3, 4]
    assert (last_appended(table, "one", s3), last_appended(table, "two", s3)) == (2, 1)


def test_another_schema_is_refused_by_its_columns(table: str, s3: S3Settings) -> None:
    append_rows(table, rows(1), BY, "one", 1, s3)
    with pytest.raises(StorageError, match=r"another schema. They differ in number. Write to a new table"):
        append_rows(table, pa.table({"date": ["2013-07-01"], "number": ["x"]}), BY, "one", 2, s3)
    assert found(table, s3) == [1]


def test_writers_side_by_side_lose_and_double_nothing(table: str, s3: S3Settings) -> None:
    def write(writer: int) -> None:
        for number in range(1, 4):
            append_rows(table, rows(10 * writer + number), BY, f"w{writer}", number, s3)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found(table, s3) == [1, 2, 3, 11, 12, 13, 21, 22, 23]


@pytest.fixture(scope="module")
def faulty(s3: S3Settings) -> Iterator[FaultyS3]:
    with faulty_s3(s3) as through:
        yield through


def is_commit(request: Request) -> bool:
    return request.method == "PUT" and "_delta_log" in request.path


def is_data(request: Request) -> bool:
    return request.method in {"PUT", "POST"} and "_delta_log" not in request.path


@pytest.mark.parametrize("when", [is_commit, is_data])
@pytest.mark.parametrize("fault", [Fault.LOST_ANSWER, Fault.CLOSED])
def test_a_write_that_fails_or_whose_answer_is_lost_neither_loses_nor_doubles_rows(
    fault: Fault, when: Callable[[Request], bool], table: str, s3: S3Settings, faulty: FaultyS3
) -> None:
    append_rows(table, rows(0), BY, "one", 1, s3)
    faulty.fail(fault, at=when)
    for _ in range(5):
        try:
            append_rows(table, rows(1), BY, "one", 2, faulty.settings)
            break
        except StorageError:
            continue
    assert faulty.failed
    faulty.forget()
    assert found(table, s3) == [0, 1]
