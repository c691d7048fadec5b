"""Notes: small JSON objects below a prefix that are written once, whoever comes first."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage.aws_errors import translated
from storage.errors import ObjectChangedError, ObjectNotFoundError, StorageError, StorageUnavailableError
from storage.snapshot import split_uri

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from storage.objects import Store

# S3 may answer that two writers came at once, and that neither was first: 409.
_ATTEMPTS = 4
_PROBE = "_conditional-writes"


@dataclass(frozen=True)
class Notes:
    """The notes below one prefix. A name has no `/`; a note is never changed, once it is there."""

    store: Store
    prefix: str

    def probe(self) -> None:
        """Raise `StorageError` unless the store keeps the first of two writers from being overwritten.

        Without that, two runs would each believe that they began.
        """
        if self.put_new(_PROBE, {}) and self.put_new(_PROBE, {}):
            raise StorageError(
                f"The store of {self.prefix} ignores conditional writes (PUT with If-None-Match: *): it"
                " wrote an object twice. Use a store that has them: AWS S3, or SeaweedFS 4 or newer"
            )

    def put_new(self, name: str, body: Mapping[str, Any]) -> bool:
        """Write a note unless there is one of that name; say whether it was this call that wrote it.

        An answer that was lost is settled by reading whose note is there. Where that is impossible,
        `StorageUnavailableError` is raised: the note may be there.
        """
        writer = uuid.uuid4().hex
        content = json.dumps(dict(body), sort_keys=True).encode()
        for _ in range(_ATTEMPTS):
            try:
                self._put(name, content, writer)
            except ObjectChangedError:
                # The client tries again by itself: what is there may have come from its first try.
                return self._writer(name) == writer
            except StorageUnavailableError as error:
                found = self._writer(name)
                if found is not None:
                    return found == writer
                last = error
            else:
                return True
        raise last

    def get(self, name: str) -> dict[str, Any] | None:
        """Read a note; None where there is none."""
        bucket, key = self._place(name)
        uri = f"s3://{bucket}/{key}"
        try:
            with translated("read", uri):
                body = self.store.client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except ObjectNotFoundError:
            return None
        try:
            found = json.loads(body)
        except ValueError as error:
            raise StorageError(f"The note {uri} is not JSON: {error}") from error
        if not isinstance(found, dict):
            raise StorageError(f"The note {uri} holds {type(found).__name__}; expected a JSON object")
        return found

    def list(self) -> tuple[str, ...]:
        """Name all notes, sorted."""
        bucket, folder = split_uri(f"{self.prefix.rstrip('/')}/")
        with translated("list", self.prefix):
            pages = self.store.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=folder)
            keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
        names = (key.removeprefix(folder).removesuffix(".json") for key in keys if key.endswith(".json"))
        return tuple(sorted(name for name in names if "/" not in name and name != _PROBE))

    def _put(self, name: str, content: bytes, writer: str) -> None:
        bucket, key = self._place(name)
        with translated("write", f"s3://{bucket}/{key}"):
            self.store.client.put_object(
                Bucket=bucket, Key=key, Body=content, IfNoneMatch="*", Metadata={"writer": writer}
            )

    def _writer(self, name: str) -> str | None:
        bucket, key = self._place(name)
        try:
            with translated("read", f"s3://{bucket}/{key}"):
                return self.store.client.head_object(Bucket=bucket, Key=key)["Metadata"].get("writer", "")
        except ObjectNotFoundError:
            return None

    def _place(self, name: str) -> tuple[str, str]:
        if not name or "/" in name:
            raise StorageError(f"A note cannot be named {name!r}; expected a name without '/'")
        return split_uri(f"{self.prefix.rstrip('/')}/{name}.json")
