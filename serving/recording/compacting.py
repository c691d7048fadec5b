"""What was recorded on days that are over, in few files instead of thousands."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from serving.errors import RoutesError
from storage import CommitConflictError, Compacted, compact_days, data_uri, vacuum

if TYPE_CHECKING:
    from collections.abc import Mapping

    from serving.routing.declaration import Routes
    from storage import S3Settings


@dataclass(frozen=True)
class Tidied:
    """A table, how many of its files were joined into how many, and how many old ones were deleted."""

    table: str
    joined: int
    into: int
    deleted: int


def tidy(
    routes: Routes, older_than: dt.timedelta, settings: S3Settings, environment: Mapping[str, str]
) -> list[Tidied]:
    """Join the files of all days before today, in UTC, and delete those that were replaced longer ago.

    A table that nobody wrote yet is passed over. Raises `StorageError`, and `RoutesError` where nothing is
    declared to be recorded.
    """
    if routes.record is None:
        raise RoutesError(f"The routes of {routes.model} record nothing; expected `record:` with two tables")
    today = dt.datetime.now(dt.UTC).date()
    done, conflict = [], None
    for location in (routes.record.exposures, routes.record.feedback):
        table = data_uri(location, environment)
        found: Compacted | None = Compacted(0, 0)
        try:
            found = compact_days(table, today, settings)
        except CommitConflictError as error:
            conflict = error  # what was written in vain is deleted some day, all the same
        if found is not None:
            gone = vacuum(table, older_than, settings, dry_run=False)
            done.append(Tidied(table, found.removed, found.added, len(gone)))
    if conflict is not None:
        raise conflict
    return done
