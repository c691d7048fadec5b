"""What a worker serves now: one loaded version for each model, swapped when the view of it changes."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from registry import ArtifactError
from serving.files import stamp_of
from serving.following.view import View, read_view
from serving.models.loading import load_model
from serving.models.served import Version
from serving.watching.logs import log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serving.http.arms import Arms
    from serving.http.routing import Routing
    from serving.models.served import ServedModel
    from serving.watching.tally import WorkerTally

_LOOK_EVERY_S = 0.25
# A thread that loads a version must not keep the event loop from running for longer than a request takes.
_SWITCH_S = 0.0005
# A version that could not be loaded is tried again so much later: its folder may have been mended.
_TRY_AGAIN_S = 60.0


@dataclass
class Standing:
    """One model as this worker has it: what it serves, the view that says so, and what it could not load."""

    name: str
    path: Path
    serves: ServedModel | None = None
    view: View | None = None
    stamp: tuple[int, int, int] | None = None
    refused: dict[str, tuple[str, float]] = field(default_factory=dict)
    arms: Arms | None = None
    routing: Routing | None = None

    @property
    def why_not(self) -> str:
        """Why nothing is served, for whoever asks."""
        if self.view is None:
            return "the registry was not asked yet"
        if self.view.version is None:
            return self.view.problem or "none is in Production"
        return self.refused.get(self.view.digest or "", ("it is being loaded", 0.0))[0]


class Stage:
    """The models of one worker. Its event loop swaps them; a request keeps the one that it began with."""

    def __init__(
        self,
        names: Sequence[str],
        paths: Sequence[Path],
        tally: WorkerTally,
        arms: Sequence[Arms] = (),
        *,
        lenient: bool = False,
    ) -> None:
        self.standings = tuple(Standing(n, p) for n, p in zip(names, paths, strict=True))
        for standing, each in zip(self.standings, arms, strict=False):
            standing.arms = each
        self._tally, self._lenient = tally, lenient

    @property
    def is_ready(self) -> bool:
        """Whether every model has a version to answer with."""
        return all(standing.serves is not None for standing in self.standings)

    async def load_all(self) -> None:
        """Load what the views say, before anybody is let in."""
        sys.setswitchinterval(_SWITCH_S)
        for number, standing in enumerate(self.standings):
            await self._look(number, standing)

    async def follow(self) -> None:
        """Look at the views for good, and swap what changed."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            for number, standing in enumerate(self.standings):
                await self._look(number, standing)

    async def _look(self, number: int, standing: Standing) -> None:
        await self._look_at_view(number, standing)
        if standing.arms is not None and await standing.arms.look():
            standing.routing = standing.arms.routing

    async def _look_at_view(self, number: int, standing: Standing) -> None:
        stamp = stamp_of(standing.path)
        if stamp is None:
            return  # nobody was asked yet; or the folder went away, and what is loaded stays
        if stamp == standing.stamp:
            return
        view = read_view(standing.path)
        if view is None:
            log("view_unreadable", "error", model=standing.name, path=str(standing.path))
            standing.stamp = stamp
            return
        standing.stamp, standing.view = stamp, view
        await self._bring(number, standing, view)

    async def _bring(self, number: int, standing: Standing, view: View) -> None:
        served = standing.serves.version if standing.serves else None
        if view.version is None or view.digest is None or view.folder is None or view.manifest is None:
            if served is not None and view.reachable:
                standing.serves = None
                self._tally.loaded(number, 0, time.time())
                log("off_stage", model=standing.name, version=served.number)
            return
        wanted = Version(standing.name, view.version, view.digest)
        _, refused_at = standing.refused.get(view.digest, ("", -_TRY_AGAIN_S))
        if wanted == served or time.monotonic() - refused_at < _TRY_AGAIN_S:
            return
        load = partial(
            load_model, Path(view.folder), wanted, view.manifest, view.format, lenient=self._lenient
        )
        began = time.perf_counter()
        try:
            standing.serves = await asyncio.to_thread(load)
        except (ArtifactError, OSError) as error:
            standing.refused[view.digest] = (str(error), time.monotonic())
            self._tally.refused(number)
            log("version_refused", "error", model=standing.name, version=view.version, why=str(error))
            return
        took_ms = round(1000 * (time.perf_counter() - began), 1)
        self._tally.loaded(number, view.version, time.time())
        log("version_loaded", model=standing.name, version=view.version, digest=view.digest, ms=took_ms)
        # What is loaded now stays: the collector is not to go over it again and again.
        gc.collect()
        gc.freeze()
