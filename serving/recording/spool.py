"""The spool: records of a worker in files that outlive it, bounded, until they are in a table.

A record is one `write` into the page cache: it survives the process, whatever kills it (not the machine). A
segment is written by one process, which holds a lock on it (`flock`) for as long as it lives; the name of an
open one says how many bytes it may take, so that all workers together stay within the bound.

Imported by the workers, so it needs nothing beyond the standard library.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from serving.recording.frames import exposure_frame, feedback_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from serving.recording.exposure import Exposure, Feedback

OPEN, DONE = ".open", ".done"
# `segment-` when it began, by whom, how many bytes it may take.
SEGMENT = re.compile(r"segment-[0-9]{20}-[0-9a-f]{16}-(?P<bytes>[0-9]{1,12})\.(?:open|done)")
_SEGMENTS_AT_LEAST, _SEGMENT_BYTES = 16, 4 * 2**20
_OLDEST_S = 60.0
# Where there is no room, it is looked for again so much later: looking is not free.
_LOOK_AGAIN_S = 0.25


class Spool:
    """Where one process puts its records. Not to be used before a fork, nor by several threads at once."""

    def __init__(self, folder: Path, limit_bytes: int, on_drop: Callable[[], None]) -> None:
        self._folder, self._limit_bytes, self._on_drop = folder, limit_bytes, on_drop
        self._segment_bytes = min(_SEGMENT_BYTES, limit_bytes // _SEGMENTS_AT_LEAST)
        self._file: int | None = None
        self._path, self._written, self._room = folder, 0, 0
        self._began, self._failed = -_OLDEST_S, (-_OLDEST_S, 0)

    def add(self, exposure: Exposure) -> bool:
        """Keep an exposure; return whether there was room. Never raises; one that is dropped is counted."""
        return self._keep(lambda: exposure_frame(exposure))

    def add_feedback(self, outcomes: Sequence[Feedback]) -> bool:
        """Keep outcomes, all or none; return whether there was room. Never raises."""
        return self._keep(lambda: feedback_frame(outcomes))

    def close(self) -> None:
        """Finish the segment that is open."""
        if self._file is None:
            return
        with suppress(OSError):
            self._path.rename(self._path.with_suffix(DONE))
        with suppress(OSError):
            os.close(self._file)
        self._file = None

    def _keep(self, frame: Callable[[], bytes]) -> bool:
        try:
            kept = self._write(frame())
        except Exception:  # noqa: BLE001  # whatever a record is, its client has its answer already
            kept = False
        if not kept:
            self._on_drop()
        return kept

    def _write(self, frame: bytes) -> bool:
        if not self._has_room(len(frame)):
            return False
        assert self._file is not None  # noqa: S101  # it was opened
        written = 0
        try:
            written = os.write(self._file, frame)
        finally:
            if written != len(frame):
                self._forget_half()
        self._written += written
        return written == len(frame)

    def _forget_half(self) -> None:
        """Take half a frame away again: the disk is full. Where that fails, too, nothing is put behind it."""
        assert self._file is not None  # noqa: S101  # it was written to
        try:
            os.ftruncate(self._file, self._written)
        except OSError:
            self.close()

    def _has_room(self, size_bytes: int) -> bool:
        """Say whether a frame of that size may be written now; begin another segment where it takes one."""
        now = time.monotonic()
        fits = self._file is not None and self._written + size_bytes <= self._room
        if fits and now - self._began < _OLDEST_S:
            return True
        failed_at, failed_bytes = self._failed
        if now - failed_at < _LOOK_AGAIN_S and size_bytes >= failed_bytes:
            return fits
        if self._open(size_bytes):
            return True
        self._failed = (now, size_bytes)
        return self._file is not None and fits

    def _open(self, least_bytes: int) -> bool:
        """Begin a segment with room for `least_bytes`, and finish the one before, if the bound allows."""
        room = max(self._segment_bytes, least_bytes)
        given_back = self._room - self._written if self._file is not None else 0
        if held_bytes(self._folder) - given_back + room > self._limit_bytes:
            return False
        self.close()
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"segment-{time.time_ns():020d}-{os.urandom(8).hex()}-{room}{OPEN}"
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        # Others may have looked at the same moment. Counted again with mine in it, the bound holds: at worst
        # each of us finds the other's, and steps back.
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fits = held_bytes(self._folder) <= self._limit_bytes
        except OSError:
            fits = False
        if not fits:
            path.unlink(missing_ok=True)
            os.close(file)
            return False
        self._file, self._path, self._room, self._written = file, path, room, 0
        self._began = time.monotonic()
        return True


def held_bytes(folder: Path) -> int:
    """Return how many bytes the segments of a spool take, open ones as many as they may."""
    held = 0
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            found = SEGMENT.fullmatch(entry.name)
            if found is None:
                continue
            if entry.name.endswith(OPEN):
                held += int(found["bytes"])
                continue
            with suppress(FileNotFoundError):
                held += entry.stat().st_size
    return held
