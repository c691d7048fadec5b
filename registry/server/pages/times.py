"""Times as people read them: UTC, to the minute, and how long ago."""

from __future__ import annotations

import datetime as dt

_STEPS = ((86_400, "day"), (3_600, "hour"), (60, "minute"))


def shown(at: str) -> str:
    """Write a time of the ledger for people: `2026-01-02 03:04 UTC`."""
    return f"{at[:10]} {at[11:16]} UTC"


def ago(at: str, now: dt.datetime) -> str:
    """Say how long ago a time of the ledger was, in its largest unit."""
    passed = int((now - dt.datetime.fromisoformat(at)).total_seconds())
    for seconds, unit in _STEPS:
        if passed >= seconds:
            count = passed // seconds
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return "just now"


def moment(text: str) -> dt.datetime:
    """Read a time that somebody typed or picked; without a zone it is UTC. Raises `ValueError`."""
    read = dt.datetime.fromisoformat(text.strip())
    return read.replace(tzinfo=dt.UTC) if read.tzinfo is None else read.astimezone(dt.UTC)
