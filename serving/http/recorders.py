"""The processes that record and watch what is answered: kept running where routes say that it is recorded."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from serving.files import stamp_of
from serving.http.kept import Kept
from serving.routing.published import read_published

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serving.routing.published import Places


class Recorders:
    """Two processes for all models of an endpoint.

    The one that writes tables stands still while S3 does not answer; the other one must not.
    """

    def __init__(self, models: Sequence[str], routes: Sequence[Places], folder: str) -> None:
        self._routes = routes
        self._stamps: list[object] = [None] * len(routes)
        self._records = [False] * len(routes)
        given = [*models, "--routes", folder]
        self._kept = (
            Kept("recorder", [sys.executable, "-m", "serving.recording", *given]),
            Kept("watcher", [sys.executable, "-m", "serving.recording.watching", *given]),
        )

    def keep(self) -> None:
        """Start what does not run and should; once there was something to record, there may be more."""
        for number, places in enumerate(self._routes):
            stamp = stamp_of(places.published)
            if stamp != self._stamps[number]:
                self._stamps[number], published = stamp, read_published(places.published)
                self._records[number] |= published is not None and published.record is not None
        if any(self._records):
            for each in self._kept:
                each.keep()

    def stop(self) -> None:
        """End them; what they did not get to is in the spool."""
        for each in self._kept:
            each.stop()
