"""The server's time, as the ledger writes it."""

from __future__ import annotations

import datetime as dt


def now() -> dt.datetime:
    """Return the server's time, UTC."""
    return dt.datetime.now(dt.UTC)


def stamp(at: dt.datetime) -> str:
    """Write a time as the ledger does."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
