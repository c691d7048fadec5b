"""A snapshot: which bytes, exactly, lay under a prefix at one moment."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from storage.errors import StorageError

_URI = re.compile(r"s3://(?P<bucket>[A-Za-z0-9][A-Za-z0-9._-]*)(?P<key>(?:[/?#].*)?)")
_LOGIN = re.compile(r"//[^/@]*@")


@dataclass(frozen=True)
class ObjectVersion:
    """One version of one S3 object. `version_id` is None where the bucket keeps no versions."""

    uri: str
    version_id: str | None
    etag: str
    size_bytes: int


@dataclass(frozen=True)
class Snapshot:
    """The data objects under a prefix, sorted by URI, each pinned to a version."""

    prefix: str
    objects: tuple[ObjectVersion, ...]

    @property
    def digest(self) -> str:
        """SHA-256 over what the objects are: names relative to the prefix, ETags and sizes.

        Version ids stay out of it: the same bytes put again are the same snapshot.
        """
        lines = (f"{o.uri.removeprefix(self.prefix)}\t{o.etag}\t{o.size_bytes}\n" for o in self.objects)
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    @property
    def size_bytes(self) -> int:
        """Size of all objects together."""
        return sum(o.size_bytes for o in self.objects)

    def to_tsv(self) -> str:
        """Write it down, a line for each object, to be read by people and programs."""
        lines = [f"{o.uri}\t{o.version_id or ''}\t{o.etag}\t{o.size_bytes}\n" for o in self.objects]
        return "uri\tversion_id\tetag\tsize_bytes\n" + "".join(lines)


def split_uri(uri: str) -> tuple[str, str]:
    """Split `s3://bucket/key` into bucket and key; refuse everything that is not that."""
    match = _URI.fullmatch(uri)
    if match is None:
        shown = _LOGIN.sub("//***@", uri)
        raise StorageError(f"{shown!r} is not an S3 location; expected s3://BUCKET/KEY")
    bucket, key = match["bucket"], match["key"].lstrip("/")
    if {"?", "#"} & set(uri):
        raise StorageError(f"{uri!r} has a '?' or '#' in it, which an S3 location here may not have")
    if {".", ".."} & set(key.split("/")):
        raise StorageError(f"{uri!r} has a '.' or '..' segment; write the location out in full")
    return bucket, key


def is_data(key: str) -> bool:
    """Say whether a key, relative to where data lies, is a data file and not what jobs leave beside it.

    Markers, checksums and hidden files are not, nor is what lies in a hidden folder, as `_temporary/`; one
    like `_day=1` is a partition.
    """
    *folders, name = key.split("/")
    if any(folder.startswith(("_", ".")) and "=" not in folder for folder in folders):
        return False
    return bool(name) and not name.startswith(("_", ".")) and not name.endswith(".crc")
