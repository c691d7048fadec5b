"""The segments of a spool, as their reader sees them: which there are, what is in them, which are over."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from serving.recording.frames import Frames, read_frames
from serving.recording.spool import DONE, OPEN, SEGMENT

if TYPE_CHECKING:
    from pathlib import Path

# Between making a segment and locking it, its writer needs less than this by far.
_YOUNG_S = 10.0


def list_segments(folder: Path) -> dict[str, Path]:
    """Return the segments of a spool by their names without ending, the oldest first."""
    try:
        found = sorted(entry.name for entry in os.scandir(folder) if SEGMENT.fullmatch(entry.name))
    except FileNotFoundError:
        return {}
    return {name.rpartition(".")[0]: folder / name for name in found}


def finish_abandoned(path: Path) -> Path | None:
    """Return a segment that nobody writes to any more, by its present name; None where somebody may.

    One whose writer is gone, and with it the lock, is finished here.
    """
    if path.suffix == DONE:
        return path
    done = path.with_suffix(DONE)
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            status = os.fstat(file.fileno())
            if status.st_size == 0 and abs(time.time() - status.st_mtime) < _YOUNG_S:
                return None
            path.rename(done)
    except BlockingIOError:
        return None
    except FileNotFoundError:  # its writer has just finished it
        return done if done.exists() else None
    return done


def read_segment(path: Path, start: int, most_bytes: int | None = None) -> Frames:
    """Read the whole frames of a segment from a position on; its `end` and bytes count from there, too.

    No more than `most_bytes` of them, but at least one. A segment that is gone has none.
    """
    for name in (path, path.with_suffix(DONE), path.with_suffix(OPEN)):
        with suppress(FileNotFoundError), name.open("rb") as file:
            file.seek(start)
            return read_frames(file.read(), most_bytes)
    return Frames((), (), 0, 0)
