"""Watches the arms of one model: follows its spool, and says each second what is in its `watch.json`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from serving.files import stamp_of
from serving.recording.segments import list_segments, read_segment
from serving.recording.watching.windows import Window
from serving.routing.published import read_published
from serving.routing.watch import Watch, write_watch

if TYPE_CHECKING:
    from pathlib import Path

    from serving.recording.exposure import Exposure
    from serving.routing.published import Places, Published


class Watcher:
    """What was in the spool before it began is not looked at: it may be of another step."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._at = {name: _size(path) for name, path in list_segments(places.spool).items()}
        self._windows: dict[str, Window] = {}
        self._stamp: tuple[int, int, int] | None = None
        self._published: Published | None = None

    def look(self) -> Watch | None:
        """Look once; return what was written, None where there is nothing to watch. Raises `OSError`."""
        self._follow_routes()
        exposures = self._news()
        if self._published is None or self._published.record is None:
            return None
        for window in self._windows.values():
            window.add(exposures)
        watch = Watch(time.time(), {arm: window.watched() for arm, window in self._windows.items()})
        write_watch(self._places.watch, watch)
        return watch

    def _follow_routes(self) -> None:
        stamp = stamp_of(self._places.published)
        if stamp == self._stamp:
            return
        self._stamp, self._published = stamp, read_published(self._places.published)
        before, self._windows = self._windows, {}
        for view in self._published.arms if self._published is not None else ():
            if view.digest is None:
                continue
            window, known = Window(view), before.get(view.arm)
            if known is not None and known.key == window.key:
                # The same step: what is new is the rest of its view, as its guards.
                known.view, window = view, known
            self._windows[view.arm] = window

    def _news(self) -> list[Exposure]:
        found: list[Exposure] = []
        segments = list_segments(self._places.spool)
        for name, path in segments.items():
            start = self._at.get(name, 0)
            if _size(path) <= start:
                continue
            frames = read_segment(path, start)
            found += frames.exposures
            self._at[name] = start + frames.end
        self._at = {name: at for name, at in self._at.items() if name in segments}
        return found


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
