"""One commit that replaces a partition by parts; what was committed is read back, never guessed."""

from __future__ import annotations

import json
import random
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa

from storage.delta import app_id, open_or_create, translated
from storage.errors import CommitConflictError, StorageError, StorageUnavailableError
from storage.footers import check_parts
from storage.objects import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deltalake import DeltaTable

    from storage.parts import Part
    from storage.settings import S3Settings

# Each time that a commit comes second, another one came first: the limit is on how busy a table may be.
_ATTEMPTS = 60
_LONGEST_PAUSE_S = 1.0
_COMMIT_ID = "greenroom.commit"


def count_commits(table_uri: str, partition: tuple[str, str], settings: S3Settings) -> int:
    """Return how often a partition was committed to; 0 where there is no table yet."""
    from deltalake import DeltaTable

    with translated("read", table_uri):
        if not DeltaTable.is_deltatable(table_uri, settings.delta_options()):
            return 0
        table = DeltaTable(table_uri, storage_options=settings.delta_options())
        return table.transaction_version(app_id(partition)) or 0


def commit_parts(
    table_uri: str,
    parts: Sequence[Part],
    schema: pa.Schema,
    partition: tuple[str, str],
    partition_by: Sequence[str],
    settings: S3Settings,
    *,
    after: int | None = None,
) -> int:
    """Make `parts` the whole content of one partition, in one commit; return the version it brought.

    `partition` is a column and its value; `schema` is the table's. `after` is what `count_commits` said
    when the caller began: a commit to this partition since then raises `CommitConflictError`. Without
    it, only those that come during this call do. Commits to other partitions do not hinder. The footer
    of every part is read first, and `StorageError` raised where it is not what was claimed.

    An answer that was lost is settled by reading the table. Where that is impossible,
    `StorageUnavailableError` is raised: the commit may be there. No file is ever deleted here.
    """
    commit = _Commit(table_uri, tuple(parts), schema, partition, tuple(partition_by))
    with translated("commit to", table_uri):
        table = open_or_create(table_uri, schema, partition_by, settings)
        _refuse_another_table(table, commit)
        before = table.transaction_version(commit.app_id) or 0
    if after is not None:
        _refuse_another_commit(commit, before, after)
    check_parts(table_uri, parts, schema, partition, partition_by, Store.connect(settings))
    for attempt in range(_ATTEMPTS):
        version = _try(table, commit, before)
        if version is not None:
            return version
        time.sleep(random.uniform(0, min(_LONGEST_PAUSE_S, 0.02 * 2**attempt)))  # noqa: S311  # no secret
    raise StorageUnavailableError(
        f"Could not commit to {table_uri}: {_ATTEMPTS} times, commits to other partitions came first."
        " Nothing of this write is visible; try again"
    )


@dataclass(frozen=True)
class _Commit:
    """What is sent, as often as it takes; its id tells it from all others."""

    table_uri: str
    parts: tuple[Part, ...]
    schema: pa.Schema
    partition: tuple[str, str]
    partition_by: tuple[str, ...]
    commit_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def app_id(self) -> str:
        return app_id(self.partition)


def _try(table: DeltaTable, commit: _Commit, before: int) -> int | None:
    """Commit on top of what is there now; None where another commit was faster."""
    with translated("commit to", commit.table_uri):
        table.update_incremental()
        now = table.transaction_version(commit.app_id) or 0
    _refuse_another_commit(commit, now, before)
    return _send_once(table, commit, before)


def rewrite_partition(table: DeltaTable, table_uri: str, part: Part, partition: tuple[str, str]) -> bool:
    """Put one part in the place of what an open table holds of a partition; whether that came to be.

    False where anything at all was committed since the table was opened or updated, and nothing of it is
    visible: `part` may lack rows then. Raises as `commit_parts` does.
    """
    schema, by = pa.schema(table.schema().to_arrow()), tuple(table.metadata().partition_columns)
    commit = _Commit(table_uri, (part,), schema, partition, by)
    return _send_once(table, commit, table.transaction_version(commit.app_id) or 0) is not None


def _send_once(table: DeltaTable, commit: _Commit, before: int) -> int | None:
    read_at = table.version()
    try:
        with translated("commit to", commit.table_uri):
            _send(table, commit, before + 1)
    except StorageError as error:
        # Also where a hook behind the commit failed, or S3 took it and its answer was lost.
        version = _read_back(table, commit, read_at, error)
        if version is None and not isinstance(error, CommitConflictError):
            raise
        return version
    return read_at + 1


def _send(table: DeltaTable, commit: _Commit, writes: int) -> None:
    from deltalake import CommitProperties, Transaction
    from deltalake.transaction import AddAction

    now_ms = int(time.time() * 1000)
    table.create_write_transaction(
        [
            AddAction(
                path=part.path,
                size=part.size_bytes,
                partition_values=part.partition,
                modification_time=now_ms,
                data_change=True,
                stats=json.dumps({"numRecords": part.rows, **part.stats}),
            )
            for part in commit.parts
        ],
        "overwrite",
        commit.schema,
        list(commit.partition_by),
        partition_filters=[(commit.partition[0], "=", commit.partition[1])],
        commit_properties=CommitProperties(
            custom_metadata={_COMMIT_ID: commit.commit_id},
            # Tried again by deltalake, a commit that came second removes what was there before the
            # first, and adds its rows to those of the first: they are doubled.
            max_commit_retries=0,
            app_transactions=[Transaction(commit.app_id, writes)],
        ),
    )


def _read_back(table: DeltaTable, commit: _Commit, read_at: int, said: StorageError) -> int | None:
    """Return the version in which the commit is, if it is."""
    try:
        with translated("read", commit.table_uri):
            table.update_incremental()
            newer = table.version() - read_at
            lines = table.history(newer) if newer else []
    except StorageError as error:
        raise StorageUnavailableError(
            f"Could not commit to {commit.table_uri}, or read whether it was committed: {error}. Nothing was"
            " deleted; run again to see what is there"
        ) from said
    found = [line["version"] for line in lines if line.get(_COMMIT_ID) == commit.commit_id]
    return found[0] if found else None


def _refuse_another_commit(commit: _Commit, found: int, expected: int) -> None:
    if found != expected:
        raise CommitConflictError(
            f"Could not commit to {commit.table_uri}: another writer committed to"
            f" {'='.join(commit.partition)} first. Nothing of this write is visible; run again to see what"
            " is there now"
        )


def _refuse_another_table(table: DeltaTable, commit: _Commit) -> None:
    from deltalake import Schema

    # Delta would take the new schema for the whole table, and its older files would not be readable.
    found, expected = table.schema(), Schema.from_arrow(commit.schema)
    if found != expected:
        columns = sorted(map(str, {*map(str, found.fields)} ^ {*map(str, expected.fields)}))
        raise StorageError(
            f"Could not commit to {commit.table_uri}: the table has another schema. Only in one of the two:"
            f" {'; '.join(columns[:4])}. Write to a new table"
        )
    by = table.metadata().partition_columns
    if by != list(commit.partition_by):
        raise StorageError(
            f"Could not commit to {commit.table_uri}: it is partitioned by {by};"
            f" expected {list(commit.partition_by)}. Write to a new table"
        )
