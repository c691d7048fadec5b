"""A shared object: nobody overwrites what they have not seen, and whoever wrote it knows."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from faulty_s3 import Fault, FaultyS3, faulty_s3

from storage import (
    ObjectChangedError,
    ObjectNotFoundError,
    S3Settings,
    SharedObject,
    StorageError,
    StorageUnavailableError,
    Store,
)


@pytest.fixture
def uri() -> str:
    return f"s3://greenroom/{uuid.uuid4().hex}/routes-state.json"


@pytest.fixture(scope="module")
def faulty(s3: S3Settings) -> Iterator[FaultyS3]:
    with faulty_s3(s3) as proxy:
        yield proxy


def test_it_is_changed_by_who_has_seen_it(store: Store, uri: str) -> None:
    shared = SharedObject(store, uri)
    assert shared.get() is None
    first = shared.put({"n": 1}, None)
    assert shared.get() == first
    second = shared.put({"n": 2}, first)
    assert shared.get() == second
    for stale in (None, first):
        with pytest.raises(ObjectChangedError, match="it was replaced since it was listed"):
            shared.put({"n": 3}, stale)
    assert shared.get() == second


def test_what_was_deleted_is_not_written_over(store: Store, uri: str) -> None:
    shared = SharedObject(store, uri)
    seen = shared.put({"n": 1}, None)
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    store.client.delete_object(Bucket=bucket, Key=key)
    with pytest.raises(ObjectChangedError):
        shared.put({"n": 2}, seen)
    assert shared.get() is None


def test_of_many_at_once_each_adds_to_what_all_others_added(store: Store, uri: str) -> None:
    shared = SharedObject(store, uri)
    shared.put({"n": 0}, None)

    def add(_: int) -> None:
        while True:
            seen = shared.get()
            assert seen is not None
            try:
                shared.put({"n": seen.body["n"] + 1}, seen)
            except ObjectChangedError:
                continue
            return

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(add, range(24)))
    found = shared.get()
    assert found is not None
    assert found.body == {"n": 24}


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("number", [1, 2])
def test_a_fault_while_writing_is_settled(
    s3: S3Settings, faulty: FaultyS3, uri: str, fault: Fault, number: int
) -> None:
    shared = SharedObject(Store.connect(faulty.settings), uri)
    seen = shared.put({"n": 1}, None)
    faulty.fail(fault, at=number)
    seen = shared.put({"n": 2}, seen)
    assert SharedObject(Store.connect(s3), uri).get() == seen


def test_s3_that_went_away_leaves_it_open(faulty: FaultyS3, uri: str) -> None:
    shared = SharedObject(Store.connect(faulty.settings), uri)
    faulty.fail(Fault.LOST_ANSWER, at=1, onward=True)
    with pytest.raises(StorageUnavailableError, match="S3 does not answer"):
        shared.put({"n": 1}, None)


def test_what_is_no_such_object_is_said(store: Store, uri: str) -> None:
    store.write(uri, b"[1]")
    with pytest.raises(StorageError, match=f"{uri} holds list; expected a JSON object"):
        SharedObject(store, uri).get()
    store.write(uri, b"{")
    with pytest.raises(StorageError, match=f"{uri} is not JSON: .*Delete it to begin anew"):
        SharedObject(store, uri).get()
    with pytest.raises(ObjectNotFoundError, match="there is no bucket"):
        SharedObject(store, "s3://nowhere-at-all/x").put({}, None)
