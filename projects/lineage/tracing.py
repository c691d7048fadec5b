"""What is asked of lineage: a version, a run, data by its digest, predictions of a day, or one row."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import registry
from projects.errors import ProjectError, UsageError
from projects.lineage.ascent import Link, of_predictions, of_run, of_version
from projects.lineage.descent import from_digest, from_run, from_version, readers_of

if TYPE_CHECKING:
    import datetime as dt

    from projects.runs import Workplace

_RUN_ID, _DIGEST = re.compile(r"[0-9a-f]{32}"), re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"(?:models:/)?([^/]+)/([0-9]+|[A-Z][a-z]+)")
_KEY = re.compile(r"([^=]+)=(.*)")


def trace(what: str, date: dt.date | None, key: str | None, at: Workplace, *, down: bool) -> Link:
    """Return the chain up from something, or down to what was made of it.

    Raises `UsageError` where what is asked cannot be told, `ProjectError` where it is not there.
    """
    if date is not None:
        named = _KEY.fullmatch(key) if key is not None else None
        if key is not None and named is None:
            raise UsageError(
                f"--key is {key!r}, expected COLUMN=VALUE, as flight_id=2013-07-01-UA1545-EWR-0515"
            )
        if down:
            raise UsageError("Nothing is made of predictions here; leave --down out")
        return of_predictions(what, date, (named[1], named[2]) if named else None, at)
    if key is not None:
        raise UsageError("--key says a row of a day; give --date, too")
    if _RUN_ID.fullmatch(what):
        return from_run(what, at) if down else of_run(what, at)
    if _DIGEST.fullmatch(what):
        return from_digest(what, at) if down else _of_digest(what, at)
    match = _VERSION.fullmatch(what)
    if match is None:
        raise UsageError(
            f"{what[:200]!r} is no version (NAME/3, NAME/Production), run id or digest; a table needs --date"
        )
    version = registry.resolve(at.registry, f"models:/{match[1]}/{match[2]}")
    return from_version(version, at) if down else of_version(version, at)


def to_lines(link: Link, depth: int = 0) -> list[str]:
    """Write a chain for people: what was made first, what it was made of below it and further in."""
    margin = "  " * depth
    lines = [f"{margin}{link.kind} {link.name}"]
    lines += [f"{margin}  | {key}: {value}" for key, value in link.facts]
    for below in link.links:
        lines += to_lines(below, depth + 1)
    return lines


def to_plain(link: Link) -> dict[str, object]:
    """Write a chain for machines."""
    below = [to_plain(each) for each in link.links]
    return {"kind": link.kind, "name": link.name, "facts": dict(link.facts), "links": below}


def _of_digest(digest: str, at: Workplace) -> Link:
    for run_id in readers_of(digest, at):
        waiting = [of_run(run_id, at)]
        while waiting:
            link = waiting.pop(0)
            if ("digest", digest) in link.facts:
                return link
            waiting += link.links
    raise ProjectError(f"No run that this login can see read data of the digest {digest}")
