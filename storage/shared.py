"""One small JSON object that many processes change, each only what it has seen."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from storage.aws_errors import translated
from storage.errors import ObjectChangedError, ObjectNotFoundError, StorageError, StorageUnavailableError
from storage.snapshot import split_uri

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage.objects import Store


@dataclass(frozen=True)
class Seen:
    """The object as it was at one moment."""

    body: dict[str, Any]
    etag: str


@dataclass(frozen=True)
class SharedObject:
    """The object at `uri`; it is changed by conditional PUT (If-Match, If-None-Match), or not at all."""

    store: Store
    uri: str

    def get(self) -> Seen | None:
        """Read it; None where there is none. Raises `StorageError` where what is there is no JSON object."""
        found = self._read()
        if found is None:
            return None
        content, etag, _ = found
        try:
            body = json.loads(content)
        except ValueError as error:
            raise StorageError(
                f"{self.uri} is not JSON: {error}. Delete it to begin anew, or correct it"
            ) from error
        if not isinstance(body, dict):
            raise StorageError(f"{self.uri} holds {type(body).__name__}; expected a JSON object")
        return Seen(body, etag)

    def put(self, body: Mapping[str, Any], seen: Seen | None) -> Seen:
        """Write it in the place of what was seen (None: of nothing); return it as it is now.

        Raises `ObjectChangedError` where it is not that any more: read it again, and decide anew. An answer
        that was lost is settled by reading who wrote what is there; where that is impossible,
        `StorageUnavailableError` is raised: it may be written.
        """
        bucket, key = split_uri(self.uri)
        writer = uuid.uuid4().hex
        content = json.dumps(dict(body), sort_keys=True).encode()
        condition: dict[str, Any] = {"IfMatch": f'"{seen.etag}"'} if seen else {"IfNoneMatch": "*"}
        try:
            with translated("write", self.uri):
                answer = self.store.client.put_object(
                    Bucket=bucket, Key=key, Body=content, Metadata={"writer": writer}, **condition
                )
        except (ObjectChangedError, ObjectNotFoundError, StorageUnavailableError) as error:
            # The client tries again by itself: what is there may have come from its first try.
            found = self._read()
            if found is not None and found[2] == writer:
                return Seen(dict(body), found[1])
            if isinstance(error, ObjectNotFoundError) and seen is not None:
                raise ObjectChangedError(f"Could not write {self.uri}: it was deleted meanwhile") from error
            raise
        return Seen(dict(body), answer["ETag"].strip('"'))

    def _read(self) -> tuple[bytes, str, str] | None:
        bucket, key = split_uri(self.uri)
        try:
            with translated("read", self.uri):
                found = self.store.client.get_object(Bucket=bucket, Key=key)
                content = found["Body"].read()
        except ObjectNotFoundError:
            return None
        return content, found["ETag"].strip('"'), found["Metadata"].get("writer", "")
