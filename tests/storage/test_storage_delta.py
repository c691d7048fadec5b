"""Delta tables on a real S3: a partition is replaced whole, by one writer, or not at all."""

import json
import os
import socket
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from commands import run_command
from deltalake import DeltaTable

from storage import (
    ObjectNotFoundError,
    S3Settings,
    StorageDeniedError,
    StorageError,
    StorageUnavailableError,
    Store,
    commit_parts,
    live_columns,
    write_part,
)

SCHEMA = pa.schema([("date", pa.string()), ("outcome", pa.string()), ("writer", pa.string())])
COLUMNS = ["date", "outcome", "writer"]
PARTITION_BY = ["date", "outcome"]


@pytest.fixture
def table(s3: S3Settings) -> str:
    assert s3.endpoint
    return f"s3://greenroom/{uuid.uuid4().hex}/table"


def rows(day: str, writer: str, scored: int = 3, quarantined: int = 1) -> pa.Table:
    outcomes = ["scored"] * scored + ["quarantined"] * quarantined
    return pa.table([[day] * len(outcomes), outcomes, [writer] * len(outcomes)], schema=SCHEMA)


def commit(table: str, day: str, content: pa.Table, s3: S3Settings) -> int:
    store = Store.connect(s3)
    written = [
        write_part(
            table,
            {"date": day, "outcome": outcome},
            content.filter(pc.equal(content["outcome"], outcome)).drop_columns(PARTITION_BY),
            SCHEMA,
            store,
        )
        for outcome in content["outcome"].unique().to_pylist()
    ]
    parts = [part for part in written if part is not None]
    return commit_parts(table, parts, SCHEMA, ("date", day), PARTITION_BY, s3)


def commit_nothing(table: str, s3: S3Settings) -> int:
    return commit_parts(table, [], SCHEMA, ("date", "d"), PARTITION_BY, s3)


def live(table: str, s3: S3Settings, *days: str) -> Counter[tuple[str, str, str]]:
    filters = [("date", "=", day) for day in days]
    found = live_columns(table, COLUMNS, filters, s3)
    assert found is not None
    return Counter(zip(*(found[name].to_pylist() for name in COLUMNS), strict=True))


def counted(content: pa.Table) -> Counter[tuple[str, str, str]]:
    return Counter(zip(*(content[name].to_pylist() for name in COLUMNS), strict=True))


def race(table: str, days: Sequence[str], s3: S3Settings) -> list[int | StorageError]:
    """Let one writer per entry of `days` commit at once; answer what each got."""
    ready = threading.Barrier(len(days))

    def write(number: int) -> int | StorageError:
        ready.wait()
        try:
            return commit(table, days[number], rows(days[number], f"writer {number}"), s3)
        except StorageError as error:
            return error

    with ThreadPoolExecutor(len(days)) as pool:
        return list(pool.map(write, range(len(days))))


def test_no_table_is_none(s3: S3Settings, table: str) -> None:
    assert live_columns(table, ["date"], [], s3) is None


def test_a_partition_is_replaced_and_not_doubled(s3: S3Settings, table: str) -> None:
    first = commit(table, "2013-07-01", rows("2013-07-01", "first", 3, 2), s3)
    other = commit(table, "2013-07-02", rows("2013-07-02", "other"), s3)
    assert (first, other) == (1, 2)
    assert live(table, s3) == counted(rows("2013-07-01", "first", 3, 2)) + counted(
        rows("2013-07-02", "other")
    )

    # Nothing is quarantined any more: the rows that were must go in the same commit.
    again = commit(table, "2013-07-01", rows("2013-07-01", "again", 4, 0), s3)
    assert again == 3
    assert live(table, s3, "2013-07-01") == {("2013-07-01", "scored", "again"): 4}
    assert live(table, s3, "2013-07-02") == counted(rows("2013-07-02", "other"))

    # Each version shows one state of both outcomes, never a mixture.
    options = s3.delta_options()
    writers = {
        version: set(DeltaTable(table, version=version, storage_options=options).to_pandas()["writer"])
        for version in range(4)
    }
    assert writers == {0: set(), 1: {"first"}, 2: {"first", "other"}, 3: {"again", "other"}}


def test_a_partition_may_become_empty(s3: S3Settings, table: str) -> None:
    commit(table, "d", rows("d", "first"), s3)
    commit(table, "d", rows("d", "second", 0, 0), s3)
    assert live(table, s3) == {}


def test_pandas_reads_the_table(s3: S3Settings, table: str) -> None:
    commit(table, "2013-07-01", rows("2013-07-01", "pandas"), s3)
    delta = DeltaTable(table, storage_options=s3.delta_options())
    frame = delta.to_pandas()
    assert delta.metadata().partition_columns == ["date", "outcome"]
    assert sorted(frame["outcome"]) == ["quarantined", "scored", "scored", "scored"]
    assert set(frame["date"]) == {"2013-07-01"}


def test_a_value_with_a_quote_is_a_value(s3: S3Settings, table: str) -> None:
    odd = "O'Hare' OR 1 = 1 --"
    commit(table, "d", rows("d", "kept"), s3)
    for writer in ("first", "second"):
        commit(table, odd, rows(odd, writer), s3)
    assert live(table, s3) == counted(rows("d", "kept")) + counted(rows(odd, "second"))


@pytest.mark.parametrize("writers", [2, 10])
@pytest.mark.parametrize("before", ["no table", "an empty partition", "a filled partition"])
def test_writers_of_one_partition_never_double_or_mix(
    s3: S3Settings, table: str, writers: int, before: str
) -> None:
    if before != "no table":
        day = "d" if before == "a filled partition" else "another day"
        commit(table, day, rows(day, "before"), s3)
    said = race(table, ["d"] * writers, s3)

    versions = {number: answer for number, answer in enumerate(said) if isinstance(answer, int)}
    losers = [answer for answer in said if isinstance(answer, StorageError)]
    assert versions
    assert len(set(versions.values())) == len(versions)
    last = max(versions, key=lambda number: versions[number])
    assert live(table, s3, "d") == counted(rows("d", f"writer {last}"))
    assert {str(error) for error in losers} <= {
        (
            f"Could not commit to {table}: another writer committed to date=d first. Nothing of this"
            " write is visible; run again to see what is there now"
        )
    }

    commit(table, "d", rows("d", "rerun"), s3)
    assert live(table, s3, "d") == counted(rows("d", "rerun"))


@pytest.mark.parametrize("before", ["no table", "a table"])
def test_writers_of_different_partitions_do_not_meet(s3: S3Settings, table: str, before: str) -> None:
    if before == "a table":
        commit(table, "day before", rows("day before", "before"), s3)
    days = [f"day {number}" for number in range(6)]
    said = race(table, days, s3)
    assert [error for error in said if isinstance(error, StorageError)] == []
    assert len({str(version) for version in said}) == len(days)
    expected = Counter[tuple[str, str, str]]()
    for number, day in enumerate(days):
        expected += counted(rows(day, f"writer {number}"))
        # The version that each writer was told is the one that brought its rows.
        version = said[number]
        assert isinstance(version, int)
        at = [
            set(DeltaTable(table, version=v, storage_options=s3.delta_options()).to_pandas()["date"])
            for v in (version - 1, version)
        ]
        assert at[1] - at[0] == {day}
    found = live(table, s3)
    assert found - counted(rows("day before", "before")) == expected


def test_a_missing_bucket_is_named(s3: S3Settings) -> None:
    nowhere = "s3://nobody-made-this/table"
    with pytest.raises(ObjectNotFoundError, match=f"commit to {nowhere}: there is no such bucket"):
        commit_nothing(nowhere, s3)
    with pytest.raises(ObjectNotFoundError, match=f"read {nowhere}: there is no such bucket"):
        live_columns(nowhere, ["date"], [], s3)


@pytest.mark.parametrize("changed", [{"access_key_id": "NOBODY"}, {"secret_access_key": "wrong"}])
def test_wrong_credentials(s3: S3Settings, table: str, changed: dict[str, Any]) -> None:
    wrong = replace(s3, **changed)
    with pytest.raises(StorageDeniedError, match=r"S3 refused the credentials\. Check AWS_ACCESS_KEY_ID"):
        commit_nothing(table, wrong)
    with pytest.raises(StorageDeniedError, match="S3 refused the credentials"):
        live_columns(table, ["date"], [], wrong)


def test_s3_that_is_down_is_said_soon(s3: S3Settings, table: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
    begin = time.monotonic()
    with pytest.raises(StorageUnavailableError, match="S3 does not answer; try again"):
        commit_nothing(table, replace(s3, endpoint=endpoint))
    with pytest.raises(StorageUnavailableError, match="S3 does not answer; try again"):
        live_columns(table, ["date"], [], replace(s3, endpoint=endpoint))
    assert time.monotonic() - begin < 20


LOOK = """
import json, sys
from storage import S3Settings, live_columns
print(len(live_columns(sys.argv[1], ["date"], [], S3Settings(**json.loads(sys.argv[2])))))
"""


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "LANG"])
def test_settings_come_before_the_environment(s3: S3Settings, table: str, variable: str) -> None:
    commit_nothing(table, s3)
    known = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    ran = run_command(
        [sys.executable, "-c", LOOK, table, json.dumps(asdict(s3))],
        {**known, variable: "http://127.0.0.1:9"},
    )
    # Nor is a cloud asked where this is, which takes seconds where nobody answers.
    assert (ran.stdout, ran.stderr) == ("0\n", "")


@pytest.mark.parametrize("uri", ["file:///tmp/table", "http://b/table", "s3://b/../table", "", "s3://"])
def test_malformed_locations_are_refused(s3: S3Settings, uri: str) -> None:
    with pytest.raises(StorageError, match=r"is not an S3 location|segment"):
        live_columns(uri, ["date"], [], s3)
    with pytest.raises(StorageError, match=r"is not an S3 location|segment"):
        commit_nothing(uri, s3)
