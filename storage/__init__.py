"""S3 objects and Delta tables: list, stream, snapshot, commit. Knows nothing of models or checks."""

from storage.append import append_rows, last_appended
from storage.columns import file_columns, first_rows
from storage.commit import commit_parts, count_commits
from storage.compact import Compacted, compact_days
from storage.csv_rows import BrokenRow, RowBatch
from storage.delta import live_columns
from storage.errors import (
    CommitConflictError,
    ObjectChangedError,
    ObjectNotFoundError,
    StorageDeniedError,
    StorageError,
    StorageUnavailableError,
    UnreadableFileError,
)
from storage.files import read_rows, row_groups
from storage.followed import FollowedTable
from storage.notes import Notes
from storage.objects import Store
from storage.once import VERSION, Written, find_written, stream_rows, write_once
from storage.parts import Part, write_part
from storage.settings import S3Settings, data_uri
from storage.shared import Seen, SharedObject
from storage.snapshot import ObjectVersion, Snapshot
from storage.vacuum import STAGING, LiveFile, live_files, vacuum

__all__ = [
    "STAGING",
    "VERSION",
    "BrokenRow",
    "CommitConflictError",
    "Compacted",
    "FollowedTable",
    "LiveFile",
    "Notes",
    "ObjectChangedError",
    "ObjectNotFoundError",
    "ObjectVersion",
    "Part",
    "RowBatch",
    "S3Settings",
    "Seen",
    "SharedObject",
    "Snapshot",
    "StorageDeniedError",
    "StorageError",
    "StorageUnavailableError",
    "Store",
    "UnreadableFileError",
    "Written",
    "append_rows",
    "commit_parts",
    "compact_days",
    "count_commits",
    "data_uri",
    "file_columns",
    "find_written",
    "first_rows",
    "last_appended",
    "live_columns",
    "live_files",
    "read_rows",
    "row_groups",
    "stream_rows",
    "vacuum",
    "write_once",
    "write_part",
]
