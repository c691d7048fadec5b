"""Delta tables: open or make one, read what is live, and say what goes wrong there."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from storage.errors import (
    CommitConflictError,
    ObjectNotFoundError,
    StorageDeniedError,
    StorageError,
    StorageUnavailableError,
)
from storage.snapshot import split_uri

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa
    from deltalake import DeltaTable

    from storage.settings import S3Settings

Filter = tuple[str, str, str]

# The Rust side colours its errors, terminal or not.
_COLOURS = re.compile(r"\x1b\[\d+m")


def live_columns(
    table_uri: str,
    columns: Sequence[str],
    filters: Sequence[Filter],
    settings: S3Settings,
) -> pa.Table | None:
    """Read some columns of the live rows of some partitions; None where there is no such table.

    `filters` are `(partition column, "=", value)`.
    """
    from deltalake import DeltaTable

    with translated("read", table_uri):
        if not DeltaTable.is_deltatable(table_uri, settings.delta_options()):
            return None
        table = DeltaTable(table_uri, storage_options=settings.delta_options())
        dataset = table.to_pyarrow_dataset(file_pruning_predicate=list(filters))
        return dataset.to_table(columns=list(columns))


def app_id(partition: tuple[str, str]) -> str:
    """Return the name under which the commits to a partition are counted."""
    return "=".join(partition)


def open_or_create(
    table_uri: str, schema: pa.Schema, partition_by: Sequence[str], settings: S3Settings
) -> DeltaTable:
    """Open a table; make an empty one where there is none. Several may do so at once."""
    from deltalake import CommitProperties, DeltaTable
    from deltalake.exceptions import DeltaError

    options = settings.delta_options()
    if not DeltaTable.is_deltatable(table_uri, options):
        try:
            return DeltaTable.create(
                table_uri,
                schema,
                partition_by=list(partition_by),
                storage_options=options,
                # Tried again, a creation that came second would be committed over the first, and
                # every write under way would fail: the table's metadata changed.
                commit_properties=CommitProperties(max_commit_retries=0),
            )
        except DeltaError:
            # Another writer was faster, if there is a table now.
            if not DeltaTable.is_deltatable(table_uri, options):
                raise
    return DeltaTable(table_uri, storage_options=options)


@contextmanager
def translated(action: str, uri: str) -> Iterator[None]:
    """Say as one of our errors what deltalake raises; `action` is a verb, `uri` the table."""
    from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

    split_uri(uri)
    try:
        yield
    except TableNotFoundError as error:
        raise ObjectNotFoundError(f"Could not {action} {uri}: there is no table there") from error
    except FileNotFoundError as error:
        raise ObjectNotFoundError(f"Could not {action} {uri}: a file of the table is gone") from error
    except CommitFailedError as error:
        raise CommitConflictError(
            f"Could not {action} {uri}: another writer committed to the same partition first."
            " Nothing of this write is visible; run again to see what is there now"
        ) from error
    except (OSError, DeltaError) as error:
        said = " ".join(_COLOURS.sub("", str(error)).split())
        raise _from_text(f"Could not {action} {uri}", said) from error


def _from_text(said: str, text: str) -> StorageError:
    # The Rust side tells its errors apart in words only.
    marks: Mapping[str, tuple[type[StorageError], str]] = {
        "403 Forbidden": (
            StorageDeniedError,
            "S3 refused the credentials. Check AWS_ACCESS_KEY_ID and what it may do",
        ),
        "NoSuchBucket": (ObjectNotFoundError, "there is no such bucket; create it"),
        "table already exists": (CommitConflictError, "there is a table already"),
        "error sending request": (StorageUnavailableError, "S3 does not answer; try again"),
        "response body error": (StorageUnavailableError, "S3's answer broke off; try again"),
        "max_retries": (StorageUnavailableError, "S3 does not answer; try again"),
    }
    for mark, (kind, sentence) in marks.items():
        if mark in text:
            return kind(f"{said}: {sentence}")
    return StorageError(f"{said}: {text[:300]}")
