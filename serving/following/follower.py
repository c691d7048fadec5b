"""Follows one model: asks what is in Production, prepares what is new, and publishes what may be served."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from registry import resolve
from registry.errors import NothingOnStageError, RegistryError, UnknownVersionError
from serving.following.events import Event, differences
from serving.following.preparing import Prepared, prepare, why_unsound
from serving.following.view import Refused, View, read_view, view_path, write_view
from serving.following.why import why

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from registry import ModelVersion, Registry
    from serving.following.events import Level
    from serving.following.preparing import Try

    Submit = Callable[[Callable[[], Prepared]], Future[Prepared]]

# Unchanged knowledge is written down again after this long: readers tell by it that we live.
_REFRESH_S = 3.0
# A version that was refused is tried again after this long, then after twice as long, up to the second.
_AGAIN_S, _AGAIN_AT_MOST_S = 5.0, 300.0
_SERVED = ("version", "digest", "manifest", "folder", "format")


@dataclass(frozen=True)
class Surroundings:
    """What a follower works with.

    `submit` runs work beside the asking, so that a large artifact does not keep a rollback from being seen.
    """

    registry: Registry
    try_it: Try
    submit: Submit
    tell: Callable[[Event], None]
    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic


@dataclass(frozen=True)
class _Task:
    version: ModelVersion
    done: Future[Prepared]


@dataclass(frozen=True)
class _Refusal:
    version: ModelVersion
    times: int
    again_at: float


class Follower:
    """One model. `step` is called by one thread; `view` is what was made of the last answer.

    `sound`: the artifact of `view` was verified here. `trouble` is why the registry named no version when it
    was last asked, `unwritten` why the view could not be put on disk.
    """

    def __init__(self, model: str, at: Surroundings) -> None:
        self.model = model
        self.trouble: RegistryError | None = None
        self.unwritten: str | None = None
        self._at = at
        self._path = view_path(at.registry.cache, at.registry.uri, model)
        self._written = read_view(self._path)
        self._task: _Task | None = None
        self._refusal: _Refusal | None = None
        # What answered its example once does so again: a rollback need not wait for it.
        self._tried: set[str] = set()
        self.view, self.sound = self._begin()
        self._told = self.view

    def _begin(self) -> tuple[View, bool]:
        found = self._written
        if found is None or found.model != self.model:
            if self._path.exists():
                self._tell("warning", "view_damaged", path=str(self._path))
            self._written = None
            return self._nothing(None, seen_at=0.0), False
        if found.version is None:
            return found, False
        unsound = why_unsound(found, self._at.registry.formats)
        if unsound:
            self._tell("warning", "view_unsound", version=found.version, problem=unsound)
        else:
            self._tell("info", "resumed", version=found.version, digest=found.digest)
        return found, not unsound

    def step(self) -> View:
        """Ask once, and publish what follows from the answer. Raises nothing that the registry can cause."""
        self.trouble = None
        try:
            view = self._toward(resolve(self._at.registry, f"models:/{self.model}@production"))
        except (NothingOnStageError, UnknownVersionError) as error:
            self.trouble, self.sound = error, False
            self._task = self._refusal = None
            view = self._nothing(None if isinstance(error, NothingOnStageError) else str(error))
        except RegistryError as error:
            self.trouble = error
            view = replace(self.view, reachable=False, problem=str(error))
        self._publish(view)
        return view

    @property
    def pending(self) -> Future[Prepared] | None:
        """The preparation that is under way, if there is one: its end is seen by the next step."""
        return self._task.done if self._task else None

    @property
    def is_settled(self) -> bool:
        """Whether nothing comes of asking until something happens in the registry, or time has passed."""
        if self._task is not None or self.unwritten is not None or not self.view.reachable:
            return False
        if self.trouble is not None:
            return isinstance(self.trouble, NothingOnStageError)
        if self._refusal is not None:
            return self._at.monotonic() < self._refusal.again_at
        return self._holds()

    def rest(self) -> View:
        """Publish that nothing has happened since the last step."""
        self._publish(replace(self.view, seen_at=self._at.now()))
        return self.view

    def _toward(self, wanted: ModelVersion) -> View:
        back = not self.view.reachable
        seen = replace(self.view, seen_at=self._at.now(), reachable=True, problem=None, refused=None)
        if self._is_held(wanted):
            self._task = self._refusal = None
            return replace(seen, version=wanted.version)
        if self._task is None or not _same(self._task.version, wanted):
            self._task = None
            if self._is_put_off(wanted) and not back:
                return replace(seen, refused=self.view.refused)
            self._tell("info", "preparing", version=wanted.version, digest=wanted.digest)
            try_it = _passed if wanted.digest in self._tried else self._at.try_it
            self._task = _Task(wanted, self._at.submit(partial(prepare, self._at.registry, wanted, try_it)))
        if not self._task.done.done():
            waits = f"{self.model} version {wanted.version} is being fetched and tried"
            again = self._refusal is not None and _same(self._refusal.version, wanted)
            refused = self.view.refused if again else None
            return replace(seen, problem=None if self.view.version else waits, refused=refused)
        error, task, self._task = self._task.done.exception(), self._task, None
        return self._refused(wanted, error, seen) if error else self._taken(task.done.result(), seen)

    def _is_held(self, wanted: ModelVersion) -> bool:
        return self._holds() and wanted.digest is not None and wanted.digest == self.view.digest

    def _holds(self) -> bool:
        # The folder may have been cleaned away since; a worker that starts anew needs it.
        return self.view.folder is not None and self.sound and Path(self.view.folder).is_dir()

    def _is_put_off(self, wanted: ModelVersion) -> bool:
        refusal = self._refusal
        return (
            refusal is not None and _same(refusal.version, wanted) and self._at.monotonic() < refusal.again_at
        )

    def _taken(self, prepared: Prepared, seen: View) -> View:
        self.sound, self._refusal = True, None
        self._tried.add(prepared.manifest.digest)
        return replace(
            seen,
            version=prepared.version,
            digest=prepared.manifest.digest,
            manifest=prepared.manifest.to_json(),
            folder=str(prepared.folder),
            format=prepared.format,
        )

    def _refused(self, wanted: ModelVersion, error: BaseException, seen: View) -> View:
        before = self._refusal
        times = before.times + 1 if before and _same(before.version, wanted) else 1
        pause = min(_AGAIN_S * 2 ** (times - 1), _AGAIN_AT_MOST_S)
        self._refusal = _Refusal(wanted, times, self._at.monotonic() + pause)
        return replace(seen, refused=Refused(wanted.version, wanted.digest, why(wanted, error)))

    def _nothing(self, problem: str | None, seen_at: float | None = None) -> View:
        return View(
            model=self.model,
            version=None,
            digest=None,
            manifest=None,
            folder=None,
            format="xgboost",
            stage="Production",
            seen_at=self._at.now() if seen_at is None else seen_at,
            reachable=True,
            problem=problem,
            refused=None,
        )

    def _publish(self, view: View) -> None:
        self.view = view
        before = self._told
        # What is not on disk is not served, and is told when it is.
        self._told = view if self._write(view) else replace(view, **{n: getattr(before, n) for n in _SERVED})
        for event in differences(before, self._told):
            self._at.tell(event)

    def _write(self, view: View) -> bool:
        written = self._written
        is_news = written is None or replace(view, seen_at=written.seen_at) != written
        # A clock that was set back counts as late.
        if written and not is_news and 0 <= view.seen_at - written.seen_at < _REFRESH_S:
            return True
        try:
            write_view(self._path, view)
        except OSError as error:
            problem = f"The view can not be written: {error}"
            if problem != self.unwritten:
                self._tell("error", "view_not_written", problem=problem, path=str(self._path))
            self.unwritten = problem
            return False
        self._written, self.unwritten = view, None
        return True

    def _tell(self, level: Level, name: str, **about: object) -> None:
        self._at.tell(Event(level, name, self.model, about))


def _same(one: ModelVersion, other: ModelVersion) -> bool:
    return (one.version, one.digest) == (other.version, other.digest)


def _passed(folder: Path, what: str, kind: str) -> None:
    """Stand in for the trial of bytes that have passed it."""
