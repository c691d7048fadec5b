"""What all parts of a job file are held against: the keys that there are. Pure."""

from __future__ import annotations

from typing import Any

from batch_jobs.errors import JobFileError


def exactly(found: Any, keys: tuple[str, ...], where: str, optional: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return keys and values as they are. Raises `JobFileError` where a key is missing or unknown."""
    if not isinstance(found, dict):
        raise JobFileError(f"{where}: found {found!r}, expected keys and values")
    for key in found:
        if key not in keys + optional:
            raise JobFileError(f"{where}: unknown key {key!r}; known are {', '.join(keys + optional)}")
    for key in keys:
        if key not in found:
            raise JobFileError(f"{where}: the key {key!r} is missing")
    return found
