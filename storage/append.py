"""Rows that are appended to a table exactly once, however often their writer has to ask.

A writer counts its appends. The count goes into the table with the rows, in one commit, as an application's
transaction (Delta protocol, "Transaction Identifiers"): what is there already is not written again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.delta import open_or_create, translated
from storage.errors import CommitConflictError, StorageError, StorageUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from deltalake import DeltaTable, Transaction

    from storage.settings import S3Settings

# Others append beside us, and never to the same rows: who comes second tries again on top of them.
_ATTEMPTS = 15
# And so often it is looked at anew what is there.
_REREADS = 5


def last_appended(table_uri: str, writer: str, settings: S3Settings) -> int:
    """Return the number of a writer's last append that is in a table; 0 where there is none, or no table."""
    from deltalake import DeltaTable

    with translated("read", table_uri):
        if not DeltaTable.is_deltatable(table_uri, settings.delta_options()):
            return 0
        table = DeltaTable(table_uri, storage_options=settings.delta_options())
        return table.transaction_version(writer) or 0


def append_rows(
    table_uri: str,
    rows: pa.Table,
    partition_by: Sequence[str],
    writer: str,
    number: int,
    settings: S3Settings,
) -> bool:
    """Append rows as the append `number` of `writer`; return whether it was this call that did.

    Numbers go up, and nobody else writes as `writer`. When this returns, the rows were seen in the table. An
    answer that was lost is settled by reading it; where that is impossible, `StorageUnavailableError` is
    raised: the rows may be there, and asking again with the same number is safe. Raises `StorageError` where
    the table has another schema.
    """
    from deltalake import Transaction

    with translated("append to", table_uri):
        table = open_or_create(table_uri, rows.schema, partition_by, settings)
        if (table.transaction_version(writer) or 0) >= number:
            return False
    _refuse_another_schema(table_uri, table.schema().to_arrow(), rows.schema)
    for _ in range(_REREADS):
        try:
            _append(table, table_uri, rows, Transaction(writer, number))
            break
        except StorageError as error:
            # Also where a hook behind the commit failed, or S3 took it and its answer was lost.
            if _is_there(table_uri, writer, number, settings, error):
                return True
            if not isinstance(error, CommitConflictError):
                raise
            # Files were joined meanwhile, which deltalake takes for a change to what was read here.
            with translated("append to", table_uri):
                table.update_incremental()
    else:
        raise StorageUnavailableError(
            f"Could not append to {table_uri}: {_REREADS} times, other commits came first. Nothing of this"
            " write is visible; try again"
        )
    if not _is_there(table_uri, writer, number, settings, None):
        raise StorageUnavailableError(
            f"Appended to {table_uri}, and the rows are not to be seen there. Try again"
        )
    return True


def _append(table: DeltaTable, table_uri: str, rows: pa.Table, append: Transaction) -> None:
    from deltalake import CommitProperties, write_deltalake

    properties = CommitProperties(max_commit_retries=_ATTEMPTS, app_transactions=[append])
    with translated("append to", table_uri):
        write_deltalake(table, rows, mode="append", commit_properties=properties)


def _is_there(
    table_uri: str, writer: str, number: int, settings: S3Settings, said: StorageError | None
) -> bool:
    try:
        return last_appended(table_uri, writer, settings) >= number
    except StorageError as error:
        raise StorageUnavailableError(
            f"Could not read whether {table_uri} has the rows that were appended: {error}. Try again"
        ) from (said or error)


def _refuse_another_schema(table_uri: str, found: object, expected: pa.Schema) -> None:
    import pyarrow as pa

    there, here = dict(_types(pa.schema(found))), dict(_types(expected))
    if there != here:
        differ = sorted(name for name in there.keys() | here.keys() if there.get(name) != here.get(name))
        raise StorageError(
            f"Could not append to {table_uri}: the table has another schema. They differ in"
            f" {', '.join(differ[:4])}. Write to a new table"
        )


def _types(schema: pa.Schema) -> list[tuple[str, str]]:
    return [(field.name, str(field.type).removeprefix("large_")) for field in schema]
