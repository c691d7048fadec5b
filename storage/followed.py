"""A table that is looked at again and again: of its log, only what is new is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.delta import translated
from storage.vacuum import LiveFile, files_of

if TYPE_CHECKING:
    from deltalake import DeltaTable

    from storage.settings import S3Settings


class FollowedTable:
    """Lists the live files of a table, each time as of now.

    Of a table that is deleted and made anew, it goes on to list what it knew.
    """

    def __init__(self, table_uri: str, settings: S3Settings) -> None:
        self._uri, self._settings = table_uri, settings
        self._table: DeltaTable | None = None

    def live_files(self) -> tuple[LiveFile, ...]:
        """List the live files, from the log alone; none where there is no such table yet."""
        from deltalake import DeltaTable

        options = self._settings.delta_options()
        with translated("read", self._uri):
            if self._table is not None:
                self._table.update_incremental()
            else:
                if not DeltaTable.is_deltatable(self._uri, options):
                    return ()
                self._table = DeltaTable(self._uri, storage_options=options)
            return tuple(sorted(files_of(self._table), key=lambda file: file.path))
