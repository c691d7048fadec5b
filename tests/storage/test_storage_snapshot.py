"""Snapshots and URIs: which bytes are pinned, and that a snapshot is what its objects are."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage import ObjectVersion, Snapshot, StorageError, data_uri
from storage.snapshot import is_data, split_uri

PREFIX = "s3://bucket/day/"
names = st.text(st.characters(codec="utf-8", exclude_characters="\t\n"), min_size=1, max_size=20)
hashes = st.text("0123456789abcdef", min_size=32, max_size=32)
contents = st.dictionaries(names, st.tuples(hashes, st.integers(0, 2**40)), max_size=6)


def snapshot(
    content: dict[str, tuple[str, int]], prefix: str = PREFIX, version: str | None = None
) -> Snapshot:
    return Snapshot(
        prefix,
        tuple(
            ObjectVersion(prefix + name, version, etag, size)
            for name, (etag, size) in sorted(content.items(), key=lambda item: prefix + item[0])
        ),
    )


@given(content=contents, version=st.none() | names)
def test_the_same_bytes_put_again_are_the_same_snapshot(
    content: dict[str, tuple[str, int]], version: str | None
) -> None:
    elsewhere = snapshot(content, "s3://copy/of/it/", version)
    assert elsewhere.digest == snapshot(content).digest
    assert elsewhere.size_bytes == sum(size for _, size in content.values())


@given(one=contents, other=contents)
def test_other_bytes_are_another_snapshot(
    one: dict[str, tuple[str, int]], other: dict[str, tuple[str, int]]
) -> None:
    assert (snapshot(one).digest == snapshot(other).digest) is (one == other)


@given(content=contents.filter(bool), chosen=st.randoms(use_true_random=False), data=st.data())
def test_one_changed_object_is_another_snapshot(
    content: dict[str, tuple[str, int]], chosen: random.Random, data: st.DataObject
) -> None:
    name = chosen.choice(sorted(content))
    etag, size = content[name]
    changed = data.draw(st.sampled_from([("f" + etag[1:], size + 1), (etag, size + 1), None]))
    after = {**content, name: changed} if changed else {k: v for k, v in content.items() if k != name}
    assert snapshot(after).digest != snapshot(content).digest


@pytest.mark.parametrize(
    ("uri", "found"),
    [
        ("s3://bucket", ("bucket", "")),
        ("s3://bucket/", ("bucket", "")),
        ("s3://bucket/a b/ü=1/x.csv", ("bucket", "a b/ü=1/x.csv")),
        ("s3://bucket/%2e%2e/x", ("bucket", "%2e%2e/x")),
        ("s3://bucket/a..b/x", ("bucket", "a..b/x")),
    ],
)
def test_locations(uri: str, found: tuple[str, str]) -> None:
    assert split_uri(uri) == found


@pytest.mark.parametrize(
    "uri",
    [
        "file:///etc/passwd",
        "http://bucket/x",
        "",
        "s3://",
        "s3:///x",
        "s3:bucket/x",
        "S3://bucket/x",
        "bucket/x",
        "s3://bu cket/x",
        "s3://bucket:80/x",
        "s3://[/x",
        "s3://bucket/a\nb",
        "s3://bucket/\0\n",
    ],
)
def test_what_is_no_location(uri: str) -> None:
    with pytest.raises(StorageError) as refused:
        split_uri(uri)
    assert str(refused.value) == f"{uri!r} is not an S3 location; expected s3://BUCKET/KEY"


@pytest.mark.parametrize("uri", ["s3://b/../x", "s3://b/.", "s3://b/x/..", "s3://b//../x"])
def test_a_location_does_not_climb(uri: str) -> None:
    with pytest.raises(StorageError, match=r"has a '\.' or '\.\.' segment; write the location out in full"):
        split_uri(uri)


@pytest.mark.parametrize("uri", ["s3://b?x", "s3://b/x?versionId=1", "s3://b/x#y"])
def test_a_location_has_no_query(uri: str) -> None:
    with pytest.raises(StorageError, match=r"has a '\?' or '#' in it"):
        split_uri(uri)


def test_a_password_in_a_location_is_not_repeated() -> None:
    with pytest.raises(StorageError) as refused:
        split_uri("s3://user:hunter2@bucket/x")
    assert str(refused.value) == "'s3://***@bucket/x' is not an S3 location; expected s3://BUCKET/KEY"


@given(uri=st.text() | st.text().map(lambda text: f"s3://{text}"))
@settings(max_examples=300)
def test_any_text_is_a_location_or_refused(uri: str) -> None:
    try:
        bucket, key = split_uri(uri)
    except StorageError:
        return
    assert uri.startswith(f"s3://{bucket}")
    assert uri.endswith(key)
    assert bucket
    assert ".." not in key.split("/")


@pytest.mark.parametrize(
    ("key", "data"),
    [
        ("day/part-0.csv", True),
        ("day/", False),
        ("", False),
        ("day/_SUCCESS", False),
        ("day/.part-0.csv.crc", False),
        ("day/part-0.csv.crc", False),
        ("_temporary/0/part-0.csv", False),
        (".part/part-0.csv", False),
        ("_hour=1/part-0.csv", True),
    ],
)
def test_markers_are_no_data(key: str, *, data: bool) -> None:
    assert is_data(key) is data


def test_relative_locations_lie_below_the_data_root() -> None:
    environment = {"GREENROOM_DATA": "s3://greenroom/team/"}
    assert data_uri("flights/raw/", environment) == "s3://greenroom/team/flights/raw"
    assert data_uri("/flights", environment) == "s3://greenroom/team/flights"
    assert data_uri("s3://other/flights/", {}) == "s3://other/flights"
    with pytest.raises(StorageError, match=r"'flights' is relative, and GREENROOM_DATA.* is not set"):
        data_uri("flights", {})
