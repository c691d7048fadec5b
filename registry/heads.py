"""The ledger's head, kept in a bucket whose versions outlive whoever may write to the database.

One small object for each head; its name holds the number and the hash of the line, so that reading
them all is one listing. Deleting one hides it and no more, where the bucket keeps versions.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from registry.ledger import Head

if TYPE_CHECKING:
    from storage import Store

HEADS_VARIABLE = "GREENROOM_LEDGER_HEADS"
_NAME = re.compile(r".*/(?P<number>[0-9]{12})-(?P<hash>[0-9a-f]{64})\.json")


@dataclass(frozen=True)
class Heads:
    """The heads kept below one S3 URI (`s3://bucket/folder`)."""

    store: Store
    uri: str

    def keep(self, head: Head) -> None:
        """Write a head down. Doing it twice changes nothing. Raises `StorageError`."""
        body = json.dumps(asdict(head)).encode()
        self.store.write(f"{self.uri.rstrip('/')}/{head.number:012d}-{head.hash}.json", body)

    def read(self) -> list[Head]:
        """Return every head that was ever kept, also where somebody deleted its object."""
        names = (_NAME.fullmatch(uri) for uri in self.store.list_ever(self.uri))
        return sorted({Head(int(n["number"]), n["hash"]) for n in names if n}, key=lambda h: h.number)
