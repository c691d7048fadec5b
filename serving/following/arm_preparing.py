"""Challengers are made ready as the champion is: fetched, verified and tried, beside the asking."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from registry import Manifest
from registry.errors import ArtifactError
from serving.following.preparing import Prepared, prepare
from serving.following.why import why

if TYPE_CHECKING:
    from concurrent.futures import Future

    from registry import ModelVersion
    from serving.following.follower import Surroundings
    from serving.routing.published import ArmView

_Key = tuple[int, str | None]

_AGAIN_S, _AGAIN_AT_MOST_S = 5.0, 300.0


@dataclass(frozen=True)
class _Refusal:
    why: str
    times: int
    again_at: float


class Preparations:
    """What is ready, what is being made ready, and what failed, by version and digest."""

    def __init__(self, at: Surroundings) -> None:
        self._at = at
        self._ready: dict[_Key, Prepared] = {}
        self._tasks: dict[_Key, Future[Prepared]] = {}
        self._refusals: dict[_Key, _Refusal] = {}

    def of(self, version: ModelVersion) -> Prepared | str:
        """Return the version made ready, or one sentence on why it is not; begins what is to be done."""
        key = (version.version, version.digest)
        ready = self._ready.get(key)
        if ready is not None and ready.folder.is_dir():
            return ready
        task, refusal = self._tasks.get(key), self._refusals.get(key)
        if task is None:
            if refusal is not None and self._at.monotonic() < refusal.again_at:
                return refusal.why
            work = partial(prepare, self._at.registry, version, self._at.try_it)
            task = self._tasks[key] = self._at.submit(work)
        if not task.done():
            waits = f"version {version.version} is being fetched and tried"
            return refusal.why if refusal is not None else waits
        del self._tasks[key]
        error = task.exception()
        if error is None:
            self._refusals.pop(key, None)
            self._ready[key] = task.result()
            return self._ready[key]
        times = refusal.times + 1 if refusal is not None else 1
        pause = min(_AGAIN_S * 2 ** (times - 1), _AGAIN_AT_MOST_S)
        self._refusals[key] = _Refusal(why(version, error), times, self._at.monotonic() + pause)
        return self._refusals[key].why


def is_sound(view: ArmView, formats: tuple[str, ...]) -> bool:
    """Whether what an earlier process published of an arm is still there, to the byte."""
    if view.manifest is None or view.folder is None or view.format not in formats:
        return False
    try:
        manifest = Manifest.from_files(json.loads(view.manifest))
        manifest.verify(Path(view.folder), f"arm {view.arm}")
    except (ArtifactError, OSError, ValueError, TypeError, AttributeError):
        return False
    return manifest.digest == view.digest
