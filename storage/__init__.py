"""S3 objects and Delta tables: list, stream, snapshot, commit. Knows nothing of models or checks."""

from storage.delta import commit_partition, live_columns
from storage.errors import (
    CommitConflictError,
    ObjectChangedError,
    ObjectNotFoundError,
    StorageDeniedError,
    StorageError,
    StorageUnavailableError,
    UnreadableFileError,
)
from storage.files import BrokenRow, RowBatch, read_rows
from storage.objects import Store
from storage.once import count_rows, stream_rows, write_once
from storage.settings import S3Settings, data_uri
from storage.snapshot import ObjectVersion, Snapshot

__all__ = [
    "BrokenRow",
    "CommitConflictError",
    "ObjectChangedError",
    "ObjectNotFoundError",
    "ObjectVersion",
    "RowBatch",
    "S3Settings",
    "Snapshot",
    "StorageDeniedError",
    "StorageError",
    "StorageUnavailableError",
    "Store",
    "UnreadableFileError",
    "commit_partition",
    "count_rows",
    "data_uri",
    "live_columns",
    "read_rows",
    "stream_rows",
    "write_once",
]
