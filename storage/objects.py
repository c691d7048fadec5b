"""S3 objects: snapshot a prefix, read pinned versions, write."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage.aws_errors import translated
from storage.errors import ObjectNotFoundError
from storage.snapshot import ObjectVersion, Snapshot, is_data, split_uri

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from botocore.response import StreamingBody
    from types_boto3_s3 import S3Client

    from storage.settings import S3Settings

# Below this, one GET costs less than the seeks of a Parquet footer and its column chunks.
_READ_WHOLE_BYTES = 32 * 2**20
_READ_AHEAD_BYTES = 8 * 2**20
_PIECE_BYTES = 2**20


@dataclass(frozen=True)
class Store:
    """Objects on one S3 service, seen with one identity."""

    client: S3Client

    @classmethod
    def connect(cls, settings: S3Settings) -> Store:
        """Prepare a client; nothing is sent yet. Throttling is retried with jitter, boundedly."""
        import boto3
        from botocore.config import Config

        client = boto3.client(
            "s3",
            endpoint_url=settings.endpoint,
            region_name=settings.region,
            aws_access_key_id=settings.access_key_id,
            aws_secret_access_key=settings.secret_access_key,
            aws_session_token=settings.session_token,
            config=Config(
                retries={"mode": "standard", "max_attempts": 4},
                connect_timeout=5,
                read_timeout=60,
                max_pool_connections=32,
            ),
        )
        return cls(client)

    def snapshot(self, prefix: str) -> Snapshot:
        """Pin the newest version of every data object under `prefix` (`s3://bucket/path`).

        Markers and what is hidden (`_SUCCESS`, `.part.crc`, `_temporary/`) are passed over. An empty
        snapshot is an answer, not an error; a bucket that is not there is an `ObjectNotFoundError`.
        """
        bucket, key = split_uri(prefix)
        folder = f"{key.rstrip('/')}/" if key else ""
        found = []
        with translated("list", prefix):
            pages = self.client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=folder)
            for page in pages:
                for version in page.get("Versions", []):
                    if not version.get("IsLatest") or not is_data(version["Key"].removeprefix(folder)):
                        continue
                    version_id = version.get("VersionId")
                    found.append(
                        ObjectVersion(
                            uri=f"s3://{bucket}/{version['Key']}",
                            version_id=None if version_id in {None, "", "null"} else version_id,
                            etag=version["ETag"].strip('"'),
                            size_bytes=version["Size"],
                        )
                    )
        objects = tuple(sorted(found, key=lambda o: o.uri))
        return Snapshot(prefix=f"s3://{bucket}/{folder}", objects=objects)

    def list_ever(self, prefix: str) -> list[str]:
        """Return the URI of every object that was ever written under `prefix`, deleted ones too.

        Only a bucket that keeps versions remembers what was deleted.
        """
        bucket, key = split_uri(prefix)
        folder = f"{key.rstrip('/')}/" if key else ""
        with translated("list", prefix):
            pages = self.client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=folder)
            keys = {version["Key"] for page in pages for version in page.get("Versions", [])}
        return [f"s3://{bucket}/{key}" for key in sorted(keys)]

    def pin(self, uri: str) -> ObjectVersion:
        """Pin the newest version of one object. Raises `ObjectNotFoundError` where there is none."""
        bucket, key = split_uri(uri)
        with translated("read", uri):
            found = self.client.head_object(Bucket=bucket, Key=key)
        version_id = found.get("VersionId")
        return ObjectVersion(
            uri=uri,
            version_id=None if version_id in {None, "", "null"} else version_id,
            etag=found["ETag"].strip('"'),
            size_bytes=found["ContentLength"],
        )

    def open(self, pinned: ObjectVersion) -> BinaryIO:
        """Open exactly the pinned bytes for reading; seekable.

        Raises `ObjectChangedError` if the object was replaced and its bucket keeps no versions.
        """
        if pinned.size_bytes == 0:
            # Nothing to fetch. SeaweedFS lists empty objects with an ETag that it then does not match.
            return io.BytesIO()
        if pinned.size_bytes <= _READ_WHOLE_BYTES:
            return io.BytesIO(self._get(pinned))
        return io.BufferedReader(_RangedObject(self, pinned), _READ_AHEAD_BYTES)

    def tail(self, uri: str, size_bytes: int) -> tuple[bytes, int]:
        """Read the last `size_bytes` of an object, or all if it has fewer; return them and its whole size."""
        bucket, key = split_uri(uri)
        with translated("read", uri):
            response = self.client.get_object(Bucket=bucket, Key=key, Range=f"bytes=-{size_bytes}")
            body = response["Body"].read()
        # "bytes 5-9/10"
        return body, int(response["ContentRange"].rsplit("/", 1)[1])

    def write(self, uri: str, body: bytes) -> None:
        """Put one object. It appears whole or not at all."""
        bucket, key = split_uri(uri)
        with translated("write", uri):
            self.client.put_object(Bucket=bucket, Key=key, Body=body)

    def upload(self, uri: str, path: Path, content_type: str | None = None) -> None:
        """Put one object of any size from a file. It appears whole or not at all."""
        bucket, key = split_uri(uri)
        said = {"ContentType": content_type} if content_type else None
        # `upload_file` would hide S3's answer in an error of its own.
        with translated("write", uri), path.open("rb") as file:
            self.client.upload_fileobj(file, bucket, key, ExtraArgs=said)

    def check_bucket(self, uri: str) -> None:
        """Raise `ObjectNotFoundError` unless the bucket of `uri` exists."""
        bucket, _ = split_uri(uri)
        try:
            with translated("reach", uri):
                self.client.head_bucket(Bucket=bucket)
        except ObjectNotFoundError as error:
            raise ObjectNotFoundError(
                f"Could not reach {uri}: there is no bucket {bucket!r}. Create it, or correct GREENROOM_DATA"
            ) from error

    def _get(self, pinned: ObjectVersion) -> bytes:
        with translated("read", pinned.uri):
            return self._ask(pinned, None).read()

    def _get_into(self, pinned: ObjectVersion, start: int, buffer: memoryview) -> int:
        """Fill a buffer with what lies from `start`; return how many bytes came."""
        read = 0
        with translated("read", pinned.uri):
            body = self._ask(pinned, (start, start + len(buffer)))
            # Piece by piece: read at once, it would be held twice.
            while read < len(buffer):
                some = body.readinto(buffer[read : read + _PIECE_BYTES])  # type: ignore[arg-type]  # takes any buffer
                if not some:
                    break
                read += some
        return read

    def _ask(self, pinned: ObjectVersion, span: tuple[int, int] | None) -> StreamingBody:
        bucket, key = split_uri(pinned.uri)
        extra: dict[str, str] = {"IfMatch": f'"{pinned.etag}"'}
        if pinned.version_id is not None:
            extra["VersionId"] = pinned.version_id
        if span is not None:
            extra["Range"] = f"bytes={span[0]}-{span[1] - 1}"
        return self.client.get_object(Bucket=bucket, Key=key, **extra)["Body"]  # type: ignore[arg-type]  # keys are fixed above


class _RangedObject(io.RawIOBase):
    """A large pinned object as a file, by ranged GETs."""

    def __init__(self, store: Store, pinned: ObjectVersion) -> None:
        self._store = store
        self._pinned = pinned
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._pinned.size_bytes}
        self._position = base[whence] + offset
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # BufferedReader hands a memoryview
        end = min(self._position + len(buffer), self._pinned.size_bytes)
        if end <= self._position:
            return 0
        wanted = memoryview(buffer)[: end - self._position]  # a bytearray would give a copy
        read = self._store._get_into(self._pinned, self._position, wanted)  # noqa: SLF001  # one class in two halves
        self._position += read
        return read
