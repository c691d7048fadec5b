"""Objects on a real S3: pinned reads, whole and by ranges, and every way S3 can say no."""

import socket
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import storage.objects
from storage import (
    ObjectChangedError,
    ObjectNotFoundError,
    ObjectVersion,
    S3Settings,
    StorageDeniedError,
    StorageError,
    StorageUnavailableError,
    Store,
    read_rows,
)


@pytest.fixture
def versioned() -> str:
    return f"s3://greenroom/{uuid.uuid4().hex}"


@pytest.fixture(scope="module")
def bucket_without_versions(store: Store) -> str:
    bucket = f"plain-{uuid.uuid4().hex[:12]}"
    store.client.create_bucket(Bucket=bucket)
    return bucket


@pytest.fixture
def unversioned(bucket_without_versions: str) -> str:
    return f"s3://{bucket_without_versions}/{uuid.uuid4().hex}"


@pytest.fixture
def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


def only(store: Store, prefix: str) -> ObjectVersion:
    (pinned,) = store.snapshot(prefix).objects
    return pinned


@pytest.mark.parametrize("bucket", ["versioned", "unversioned"])
def test_what_was_written_is_pinned_and_read(
    store: Store, bucket: str, request: pytest.FixtureRequest
) -> None:
    prefix = request.getfixturevalue(bucket)
    names = ["b.csv", "a b/ü=1/part.csv", "_SUCCESS", ".hidden", "b.csv.crc", "sub/_SUCCESS", "empty.csv"]
    for name in names:
        store.write(f"{prefix}/{name}", b"" if name == "empty.csv" else name.encode())
    store.write(f"{prefix}-neighbour/c.csv", b"not under the prefix")
    found = store.snapshot(prefix)
    assert found.prefix == f"{prefix}/"
    kept = ["a b/ü=1/part.csv", "b.csv", "empty.csv"]
    assert [o.uri.removeprefix(found.prefix) for o in found.objects] == kept
    assert [store.open(o).read() for o in found.objects] == [kept[0].encode(), b"b.csv", b""]
    assert all((o.version_id is None) is (bucket == "unversioned") for o in found.objects)
    assert store.snapshot(f"{prefix}/") == found


def test_an_empty_prefix_is_an_answer(store: Store, versioned: str) -> None:
    nothing = store.snapshot(versioned)
    assert (nothing.objects, nothing.size_bytes) == ((), 0)


def test_the_pinned_bytes_survive_a_replacement(store: Store, versioned: str) -> None:
    store.write(f"{versioned}/x.csv", b"before")
    before = only(store, versioned)
    digest = store.snapshot(versioned).digest
    store.write(f"{versioned}/x.csv", b"after!")
    assert store.open(before).read() == b"before"
    assert store.open(only(store, versioned)).read() == b"after!"
    assert store.snapshot(versioned).digest != digest

    store.write(f"{versioned}/x.csv", b"before")
    assert only(store, versioned).version_id != before.version_id
    assert store.snapshot(versioned).digest == digest


def test_a_deleted_object_is_not_listed_and_its_pin_still_reads(store: Store, versioned: str) -> None:
    store.write(f"{versioned}/x.csv", b"gone soon")
    pinned = only(store, versioned)
    bucket, key = pinned.uri.removeprefix("s3://").split("/", 1)
    store.client.delete_object(Bucket=bucket, Key=key)
    assert store.snapshot(versioned).objects == ()
    assert store.open(pinned).read() == b"gone soon"


def test_a_replaced_object_without_versions_is_not_read(store: Store, unversioned: str) -> None:
    store.write(f"{unversioned}/x.csv", b"before")
    pinned = only(store, unversioned)
    store.write(f"{unversioned}/x.csv", b"after!")
    with pytest.raises(ObjectChangedError) as changed:
        store.open(pinned)
    assert str(changed.value) == (
        f"Could not read {pinned.uri}: it was replaced since it was listed. Run again"
    )


def test_a_missing_object_is_named(store: Store, unversioned: str) -> None:
    gone = ObjectVersion(f"{unversioned}/gone.csv", None, "0" * 32, 4)
    with pytest.raises(ObjectNotFoundError, match=r"gone\.csv: it is not there"):
        store.open(gone)


def test_large_objects_are_read_by_ranges(
    store: Store, unversioned: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage.objects, "_READ_WHOLE_BYTES", 10)
    monkeypatch.setattr(storage.objects, "_READ_AHEAD_BYTES", 64)
    body = bytes(range(256)) * 5
    store.write(f"{unversioned}/large.bin", body)
    pinned = only(store, unversioned)
    file = store.open(pinned)
    assert file.read() == body
    assert file.read() == b""
    for offset in (0, 63, 64, 1000, len(body)):
        file.seek(offset)
        assert file.read(100) == body[offset : offset + 100]
    file.seek(-7, 2)
    assert (file.tell(), file.read()) == (len(body) - 7, body[-7:])


def test_an_object_replaced_between_two_ranges_is_not_read_on(
    store: Store, unversioned: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage.objects, "_READ_WHOLE_BYTES", 10)
    monkeypatch.setattr(storage.objects, "_READ_AHEAD_BYTES", 64)
    monkeypatch.setattr("storage.csv_rows._BLOCK_BYTES", 64)
    body = b"a,b\n" + b"1,2\n" * 200
    store.write(f"{unversioned}/x.csv", body)
    batches = read_rows(store.open(only(store, unversioned)), "x.csv")
    next(batches)
    store.write(f"{unversioned}/x.csv", body.replace(b"1", b"9"))
    with pytest.raises(ObjectChangedError, match="it was replaced since it was listed"):
        list(batches)


def test_an_object_above_the_limit_of_one_read(store: Store, versioned: str) -> None:
    body = b"a\n" + b"0123456\n" * (33 * 2**17)
    store.write(f"{versioned}/large.csv", body)
    pinned = only(store, versioned)
    assert pinned.size_bytes > storage.objects._READ_WHOLE_BYTES
    batches = list(read_rows(store.open(pinned), pinned.uri))
    assert sum(len(batch.table) for batch in batches) == 33 * 2**17


CALLS: list[Callable[[Store, str], object]] = [
    lambda store, uri: store.snapshot(uri),
    lambda store, uri: store.write(uri, b""),
    lambda store, uri: store.check_bucket(uri),
    lambda store, uri: store.open(ObjectVersion(uri, None, "0" * 32, 1)),
]
each_call = pytest.mark.parametrize("call", CALLS, ids=["snapshot", "write", "check_bucket", "open"])


@pytest.mark.parametrize("call", CALLS[:3], ids=["snapshot", "write", "check_bucket"])
def test_a_missing_bucket_is_named(store: Store, call: Callable[[Store, str], object]) -> None:
    with pytest.raises(ObjectNotFoundError) as missing:
        call(store, "s3://nobody-made-this/x.csv")
    said = str(missing.value)
    assert "there is no bucket 'nobody-made-this'. Create it, or correct GREENROOM_DATA" in said


@each_call
def test_s3_that_is_down_is_said_soon(
    s3: S3Settings, closed_port: str, call: Callable[[Store, str], object]
) -> None:
    begin = time.monotonic()
    with pytest.raises(StorageUnavailableError) as down:
        call(Store.connect(replace(s3, endpoint=closed_port)), "s3://greenroom/x.csv")
    assert time.monotonic() - begin < 15
    assert closed_port in str(down.value)
    assert "Is it running, and is AWS_ENDPOINT_URL_S3 right? Then try again" in str(down.value)


@each_call
@pytest.mark.parametrize("changed", [{"access_key_id": "NOBODY"}, {"secret_access_key": "wrong"}])
def test_wrong_credentials(
    s3: S3Settings, changed: dict[str, Any], call: Callable[[Store, str], object]
) -> None:
    with pytest.raises(StorageDeniedError, match=r"refused .*Check the bucket.s name, AWS_ACCESS_KEY_ID"):
        call(Store.connect(replace(s3, **changed)), "s3://greenroom/x.csv")


def test_no_credentials_at_all(s3: S3Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    nobody = Store.connect(S3Settings(endpoint=s3.endpoint))
    with pytest.raises(StorageDeniedError, match=r"no S3 credentials found\. Set AWS_ACCESS_KEY_ID and"):
        nobody.snapshot("s3://greenroom/x")


@pytest.mark.parametrize("uri", ["file:///tmp/x", "http://greenroom/x", "s3://b/../x", "", "s3://"])
@pytest.mark.parametrize("call", CALLS[:3], ids=["snapshot", "write", "check_bucket"])
def test_malformed_locations_are_refused_before_anything_is_sent(
    store: Store, uri: str, call: Callable[[Store, str], object]
) -> None:
    with pytest.raises(StorageError, match=r"is not an S3 location|segment"):
        call(store, uri)


def test_settings_are_the_standard_variables() -> None:
    plain = S3Settings.from_environment({})
    assert (plain.endpoint, plain.region) == (None, "us-east-1")
    assert plain.delta_options() == {"AWS_REGION": "us-east-1"}
    settings = S3Settings.from_environment(
        {
            "AWS_ENDPOINT_URL": "http://all:1",
            "AWS_ENDPOINT_URL_S3": "http://s3:1",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "id",
            "AWS_SECRET_ACCESS_KEY": "hunter2",
            "AWS_SESSION_TOKEN": "passing",
        }
    )
    assert (settings.endpoint, settings.region) == ("http://s3:1", "eu-central-1")
    assert settings.delta_options() == {
        "AWS_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL_S3": "http://s3:1",
        "AWS_ENDPOINT_URL": "http://s3:1",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "hunter2",
        "AWS_SESSION_TOKEN": "passing",
    }
    assert "hunter2" not in repr(settings)
    assert "passing" not in repr(settings)


def test_what_was_deleted_is_still_listed(store: Store) -> None:
    prefix = "s3://greenroom/ever"
    assert store.list_ever(prefix) == []
    for name in ("b", "a", "a"):
        store.write(f"{prefix}/{name}", b"x")
    store.client.delete_object(Bucket="greenroom", Key="ever/a")
    assert store.list_ever(prefix) == [f"{prefix}/a", f"{prefix}/b"]
    assert [o.uri for o in store.snapshot(prefix).objects] == [f"{prefix}/b"]
    with pytest.raises(ObjectNotFoundError):
        store.list_ever("s3://no-such-bucket/ever")
