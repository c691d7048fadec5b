"""How far a recorder is, in a file beside the segments: written before a commit, and after it.

Between the two, nobody knows whether the rows are in the tables but the tables themselves. `intent` is what
was to be written, so that it can be asked for, and written, again.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from serving.errors import ServingError
from serving.files import read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_FILE = "progress.json"


@dataclass(frozen=True)
class Piece:
    """Bytes of a segment, from one frame's beginning to another one's end."""

    segment: str
    start: int
    end: int


@dataclass(frozen=True)
class Progress:
    """`number` is that of the last append of `writer`: that of `intent`, if there is one. `offsets` are how
    many bytes of each segment are in the tables.
    """  # noqa: D205  # two names, one sentence each

    writer: str
    number: int = 0
    offsets: Mapping[str, int] = field(default_factory=dict)
    intent: tuple[Piece, ...] | None = None


def read_progress(folder: Path) -> Progress:
    """Read how far the recorder of a spool is; a new one begins under a name of its own."""
    path = folder / _FILE
    if not path.exists():
        return Progress(f"spool-{os.urandom(16).hex()}")
    found = read_json(path)
    try:
        return _parse(found or {})
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ServingError(
            f"{path} can not be read; expected what this process writes, because it says what of the spool is"
            " in the tables already. Restore it, or move the whole folder away, which loses what is in it"
        ) from None


def write_progress(folder: Path, progress: Progress) -> None:
    """Write it down for good. Raises `OSError`, and then what was there before still is."""
    write_json(folder / _FILE, asdict(progress))


def _parse(found: dict[str, Any]) -> Progress:
    intent = found["intent"]
    return Progress(
        writer=str(found["writer"]),
        number=int(found["number"]),
        offsets={str(name): int(offset) for name, offset in found["offsets"].items()},
        intent=None if intent is None else tuple(Piece(**piece) for piece in intent),
    )
