"""Live files from the log; and what lies below a table when nobody can need it any more."""

import datetime as dt
import time
import uuid

import pyarrow as pa
import pytest

from storage import (
    FollowedTable,
    LiveFile,
    ObjectNotFoundError,
    Part,
    S3Settings,
    StorageError,
    Store,
    commit_parts,
    live_files,
    vacuum,
    write_part,
)

SCHEMA = pa.schema([("date", pa.date32()), ("outcome", pa.string()), ("word", pa.string())])
BY = ["date", "outcome"]
DAY, NEXT = "2013-07-01", "2013-07-02"
NOW = dt.timedelta(0)


@pytest.fixture
def table(s3: S3Settings) -> str:
    assert s3.endpoint
    return f"s3://greenroom/{uuid.uuid4().hex}/table"


def part(table: str, day: str, store: Store, rows: int = 2) -> Part:
    content = pa.table({"word": ["w"] * rows})
    made = write_part(table, {"date": day, "outcome": "scored"}, content, SCHEMA, store)
    assert made is not None
    return made


def commit(table: str, day: str, s3: S3Settings, *parts: Part) -> None:
    commit_parts(table, parts, SCHEMA, ("date", day), BY, s3)


def test_live_files_are_what_was_committed_last(s3: S3Settings, store: Store, table: str) -> None:
    assert live_files(table, [], s3) is None
    old, new, other = part(table, DAY, store), part(table, DAY, store, 5), part(table, NEXT, store)
    begin = dt.datetime.now(dt.UTC)
    commit(table, DAY, s3, old)
    commit(table, DAY, s3, new)
    commit(table, NEXT, s3, other)
    found = live_files(table, [("date", "=", DAY)], s3)
    assert found is not None
    assert found == (LiveFile(new.path, new.partition, 5, new.size_bytes, found[0].modified),)
    assert begin - dt.timedelta(seconds=1) < found[0].modified < dt.datetime.now(dt.UTC)
    both = live_files(table, [], s3)
    assert both is not None
    assert [file.path for file in both] == [new.path, other.path]
    assert live_files(table, [("date", "=", "2013-07-03")], s3) == ()


def test_a_followed_table_is_seen_as_it_is_each_time(s3: S3Settings, store: Store, table: str) -> None:
    followed = FollowedTable(table, s3)
    assert followed.live_files() == ()
    commit(table, DAY, s3, part(table, DAY, store))
    assert followed.live_files() == live_files(table, [], s3)
    commit(table, DAY, s3, part(table, DAY, store, 5))
    commit(table, NEXT, s3, part(table, NEXT, store))
    assert followed.live_files() == live_files(table, [], s3)
    assert len(followed.live_files()) == 2


def test_what_nobody_can_need_is_deleted(s3: S3Settings, store: Store, table: str) -> None:
    replaced, live, orphan = part(table, DAY, store), part(table, DAY, store), part(table, NEXT, store)
    commit(table, DAY, s3, replaced)
    commit(table, DAY, s3, live)
    store.write(f"{table}/_staging/plan/part-0.json", b"{}")
    everything = {o.uri for o in store.snapshot(table).objects}
    time.sleep(1.1)

    assert vacuum(table, dt.timedelta(hours=1), s3, dry_run=False) == []
    dead = sorted([replaced.path, orphan.path])
    staged = "_staging/plan/part-0.json"
    assert vacuum(table, NOW, s3, dry_run=True, even_if_young=True) == [staged, *dead]
    assert {o.uri for o in store.snapshot(table).objects} >= everything

    assert vacuum(table, NOW, s3, dry_run=False, even_if_young=True) == [staged, *dead]
    left = {o.uri.removeprefix(f"{table}/") for o in store.snapshot(table).objects}
    assert {path for path in left if not path.startswith("_delta_log")} == {live.path}
    assert vacuum(table, NOW, s3, dry_run=False, even_if_young=True) == []
    found = live_files(table, [], s3)
    assert found is not None
    assert [file.path for file in found] == [live.path]
    # A run that took its time finds that its part is gone, and commits nothing.
    with pytest.raises(ObjectNotFoundError, match="it is not there"):
        commit(table, NEXT, s3, orphan)


def test_young_files_are_not_vacuumed(s3: S3Settings, table: str) -> None:
    with pytest.raises(StorageError, match=r"younger than 0:59:00 may belong to a run .* at least 1:00:00"):
        vacuum(table, dt.timedelta(minutes=59), s3, dry_run=True)
    with pytest.raises(ObjectNotFoundError, match="there is no table there"):
        vacuum(table, dt.timedelta(hours=1), s3, dry_run=True)
