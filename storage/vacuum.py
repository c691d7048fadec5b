"""What lies below a table: the files that are live, and those that nobody can need any more."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from storage.aws_errors import translated as s3_translated
from storage.delta import translated
from storage.errors import StorageError
from storage.objects import Store
from storage.snapshot import split_uri

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from deltalake import DeltaTable

    from storage.delta import Filter
    from storage.settings import S3Settings

STAGING = "_staging"
_LEAST_AGE = dt.timedelta(hours=1)
# A note is written after the parts that it names, by no more than this.
_NOTE_LAG = dt.timedelta(minutes=30)
_DELETED_AT_ONCE = 1000


@dataclass(frozen=True)
class LiveFile:
    """A file of the newest version of a table, as its log describes it. `path` is relative to the table."""

    path: str
    partition: Mapping[str, str]
    rows: int
    size_bytes: int
    modified: dt.datetime


def live_files(
    table_uri: str, filters: Sequence[Filter], settings: S3Settings
) -> tuple[LiveFile, ...] | None:
    """List the live files of some partitions, from the log alone; None where there is no such table.

    `filters` are `(partition column, "=", value)`.
    """
    from deltalake import DeltaTable

    with translated("read", table_uri):
        if not DeltaTable.is_deltatable(table_uri, settings.delta_options()):
            return None
        found = files_of(DeltaTable(table_uri, storage_options=settings.delta_options()))
    chosen = [file for file in found if all(file.partition[column] == value for column, _, value in filters)]
    return tuple(sorted(chosen, key=lambda file: file.path))


def files_of(table: DeltaTable) -> list[LiveFile]:
    """List the live files of an open table."""
    by = table.metadata().partition_columns
    actions = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    return [
        LiveFile(
            path=action["path"],
            partition={column: str(action[f"partition.{column}"]) for column in by},
            rows=action["num_records"],
            size_bytes=action["size_bytes"],
            modified=dt.datetime.fromtimestamp(action["modification_time"] / 1000, dt.UTC),
        )
        for action in actions
    ]


def vacuum(
    table_uri: str,
    older_than: dt.timedelta,
    settings: S3Settings,
    *,
    dry_run: bool,
    even_if_young: bool = False,
) -> list[str]:
    """Delete what no reader or writer can need any more; return the paths, relative to the table.

    That is: files that were replaced longer ago than that, files of runs that never committed, and notes
    below `_staging/`, both if written longer ago. `older_than` counts in whole hours, rounded up. It must
    exceed the longest run and the longest query: less than an hour is refused, unless `even_if_young`.
    Beyond a week, a replaced file counts by when it was written: Delta forgets then when it was replaced.
    """
    from deltalake import DeltaTable

    if older_than < _LEAST_AGE and not even_if_young:
        raise StorageError(
            f"Will not vacuum {table_uri}: files younger than {older_than} may belong to a run or a reader"
            f" under way; expected at least {_LEAST_AGE}"
        )
    hours = math.ceil(older_than / dt.timedelta(hours=1))
    before = dt.datetime.now(dt.UTC) - dt.timedelta(hours=hours)
    with translated("vacuum", table_uri):
        table = DeltaTable(table_uri, storage_options=settings.delta_options())
        unnamed = table.vacuum(
            hours,
            # Told to delete, it deletes again what it deleted before, and commits that it did.
            dry_run=True,
            enforce_retention_duration=False,
            # Without it, only files that a version once named, not those of runs that were killed.
            full=True,
        )
    store = Store.connect(settings)
    found = _written(table_uri, store)
    staged = [
        path
        for path, when in found.items()
        if path.startswith(f"{STAGING}/") and when <= before + min(_NOTE_LAG, older_than)
    ]
    # Notes first: one that outlives its part would send a run to look for it.
    gone = sorted(staged) + sorted(found.keys() & set(unnamed))
    if not dry_run:
        _delete(table_uri, gone, store)
    return gone


def _written(table_uri: str, store: Store) -> dict[str, dt.datetime]:
    """List what lies below a table, by path, and when it was written."""
    bucket, root = split_uri(f"{table_uri}/")
    with s3_translated("list", table_uri):
        pages = store.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=root)
        objects = [found for page in pages for found in page.get("Contents", [])]
    return {found["Key"].removeprefix(root): found["LastModified"] for found in objects}


def _delete(table_uri: str, paths: Sequence[str], store: Store) -> None:
    bucket, root = split_uri(f"{table_uri}/")
    for start in range(0, len(paths), _DELETED_AT_ONCE):
        some = [{"Key": f"{root}{path}"} for path in paths[start : start + _DELETED_AT_ONCE]]
        with s3_translated("vacuum", table_uri):
            said = store.client.delete_objects(Bucket=bucket, Delete={"Objects": some, "Quiet": True})  # type: ignore[typeddict-item]  # keys are all it needs
        for error in said.get("Errors", [])[:1]:
            raise StorageError(f"Could not vacuum {table_uri}: S3 answered {error.get('Code')}")
