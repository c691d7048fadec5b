"""From the spool of one model into its tables: exactly once, whoever is killed and however long S3 is away.

What is to be written is noted down first, then appended, then noted as done; only then is a segment deleted,
and only one that nobody writes to any more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from serving.recording.progress import Piece, read_progress, write_progress
from serving.recording.segments import finish_abandoned, list_segments, read_segment
from serving.recording.tables import PARTITION_BY, exposure_rows, feedback_rows
from storage import append_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from serving.recording.exposure import Exposure, Feedback
    from serving.recording.progress import Progress
    from storage import S3Settings

# Of frames, in one commit.
COMMIT_BYTES = 8 * 2**20


@dataclass(frozen=True)
class Destination:
    """Where the records of a model go; `kinds_of` says what the columns of an artifact are, by its digest."""

    exposures_uri: str
    feedback_uri: str
    settings: S3Settings
    kinds_of: Callable[[str], Mapping[str, str]]


@dataclass(frozen=True)
class Recorded:
    """What one step put into the tables, and what was broken in the spool and is lost."""

    exposures: int = 0
    feedback: int = 0
    broken_bytes: int = 0

    @property
    def rows(self) -> int:
        """Records of both kinds."""
        return self.exposures + self.feedback


class Recorder:
    """Records the spool in `folder`. No other process does: its caller sees to that."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._progress: Progress | None = None

    def waiting_bytes(self) -> int:
        """Return how many bytes are not known to be in the tables."""
        progress = self._known()
        waiting = 0
        for name, path in list_segments(self._folder).items():
            try:
                waiting += path.stat().st_size - progress.offsets.get(name, 0)
            except FileNotFoundError:
                continue
        return waiting

    def step(self, destination: Destination) -> Recorded:
        """Put a commit's worth of records into the tables; first what an earlier step, or process, began.

        Raises `StorageError` and `OSError`; whatever the step was at, another one goes on from there.
        """
        progress = self._known()
        if progress.intent is None:
            pieces = self._plan(progress)
            if not pieces:
                return Recorded(broken_bytes=self._tidy(progress))
            progress = replace(progress, number=progress.number + 1, intent=pieces)
            self._note(progress)
        recorded = self._carry_out(progress, destination)
        done = _done(progress, self._folder)
        self._note(done)
        return replace(recorded, broken_bytes=recorded.broken_bytes + self._tidy(done))

    def _tidy(self, progress: Progress) -> int:
        """Delete segments that are over and wholly in the tables; return how much was torn at their ends."""
        torn = 0
        for name, path in list_segments(self._folder).items():
            over = finish_abandoned(path)
            if over is None:
                continue
            done = progress.offsets.get(name, 0)
            if not read_segment(over, done, 1).end:
                torn += over.stat().st_size - done
                over.unlink()
        return torn

    def _plan(self, progress: Progress) -> tuple[Piece, ...]:
        pieces, left = [], COMMIT_BYTES
        for name, path in list_segments(self._folder).items():
            start = progress.offsets.get(name, 0)
            found = read_segment(path, start, left)
            if found.end:
                pieces.append(Piece(name, start, start + found.end))
                left -= found.end
            if left <= 0:
                break
        return tuple(pieces)

    def _carry_out(self, progress: Progress, destination: Destination) -> Recorded:
        exposures: list[Exposure] = []
        feedback: list[Feedback] = []
        broken = 0
        paths = list_segments(self._folder)
        for piece in progress.intent or ():
            if piece.segment not in paths:
                continue
            found = read_segment(paths[piece.segment], piece.start, piece.end - piece.start)
            exposures += found.exposures
            feedback += found.feedback
            broken += found.broken
        writer, number, settings = progress.writer, progress.number, destination.settings
        if exposures:
            rows = exposure_rows(exposures, destination.kinds_of)
            append_rows(destination.exposures_uri, rows, PARTITION_BY, writer, number, settings)
        if feedback:
            rows = feedback_rows(feedback)
            append_rows(destination.feedback_uri, rows, PARTITION_BY, writer, number, settings)
        return Recorded(len(exposures), len(feedback), broken)

    def _known(self) -> Progress:
        if self._progress is None:
            self._progress = read_progress(self._folder)
        return self._progress

    def _note(self, progress: Progress) -> None:
        write_progress(self._folder, progress)
        self._progress = progress


def _done(progress: Progress, folder: Path) -> Progress:
    offsets = {**progress.offsets, **{piece.segment: piece.end for piece in progress.intent or ()}}
    there = list_segments(folder)
    return replace(progress, offsets={n: o for n, o in offsets.items() if n in there}, intent=None)
