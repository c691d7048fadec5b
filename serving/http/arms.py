"""The challengers of one model in one worker: loaded when the follower publishes them, off when it says so.

An arm whose guard was breached is off here as soon as `watch.json` says so, whether or not the follower, S3
and the registry can be reached to say it to everybody.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from registry import ArtifactError
from serving.files import stamp_of
from serving.http.routing import Arm, Routing, Shadow
from serving.models.loading import load_model
from serving.models.served import Version
from serving.recording.spool import Spool
from serving.routing.declaration import CHAMPION
from serving.routing.published import read_published
from serving.routing.watch import read_watch
from serving.watching.arms import CHAMPION_SLOT, ArmTally
from serving.watching.logs import log

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from serving.http.shadow_queues import ShadowQueue
    from serving.models.served import ServedModel
    from serving.routing.published import ArmView, Places, Published
    from serving.routing.watch import Watch

_TRY_AGAIN_S = 60.0
_MIB = 1024 * 1024


class Arms:
    """What is published of a model's routes, and what this worker makes of it. `routing` None: nothing."""

    def __init__(
        self,
        model: str,
        places: Places,
        cells: Callable[[int], memoryview[float]],
        queues: Sequence[ShadowQueue],
        *,
        lenient: bool,
    ) -> None:
        self.routing: Routing | None = None
        self.published: Published | None = None
        # Why an arm that is published as sound has no traffic here.
        self.off: dict[str, str] = {}
        self._model, self._places, self._lenient = model, places, lenient
        self._cells, self._queues = cells, queues
        self._stamp: object = None
        self._breaches: dict[str, str] = {}
        self._watch: tuple[object, Watch | None] = None, None
        self._loaded: dict[Version, ServedModel] = {}
        self._refused: dict[Version, tuple[str, float]] = {}
        self._spool: Spool | None = None
        prefix, number = os.urandom(10).hex(), count(1)
        self._next_id = lambda: f"{prefix}-{next(number):x}"

    async def look(self) -> bool:
        """See whether anything changed, and load what is new; return whether `routing` is another."""
        stamp = stamp_of(self._places.published)
        if stamp is None and self.published is None:
            return False  # nobody ever declared anything
        is_news = stamp is not None and stamp != self._stamp
        if is_news:
            self._stamp = stamp
            published = read_published(self._places.published)
            if published is None:
                log("routes_unreadable", "error", model=self._model, path=str(self._places.published))
            else:
                self.published = published
        if self.published is None:
            return False
        breached = self._breached(self.published)
        if not is_news and breached == self._breaches and not self._is_due():
            return False
        self._breaches = breached
        off = {**breached, **await self._load(self.published)}
        for arm, why in off.items():
            if arm not in self.off:
                log("arm_off", "warning", model=self._model, arm=arm, why=why)
        self.off = off
        self.routing = self._make(self.published)
        return True

    @property
    def spool(self) -> tuple[Path, int] | None:
        """Where what is answered is spooled, and how many MiB of it; None where nothing is recorded."""
        record = self.published.record if self.published is not None else None
        return None if record is None else (self._places.spool, record.spool_mib)

    def close(self) -> None:
        """Finish what is being recorded."""
        if self._spool is not None:
            self._spool.close()

    def _breached(self, published: Published) -> dict[str, str]:
        if not any(view.mode == "canary" and view.idle is None for view in published.arms):
            return {}
        stamp = stamp_of(self._places.watch)
        if stamp != self._watch[0]:
            self._watch = stamp, read_watch(self._places.watch)
        watch, found = self._watch[1], {}
        for view in published.arms:
            seen = watch.of(view.arm, view.digest, view.since) if watch is not None else None
            if seen is not None and seen.breach is not None and view.mode == "canary":
                found[view.arm] = seen.breach
        return found

    def _is_due(self) -> bool:
        now = time.monotonic()
        return any(now - at >= _TRY_AGAIN_S for _, at in self._refused.values())

    async def _load(self, published: Published) -> dict[str, str]:
        """Load what is not loaded yet; return why which arm could not be."""
        wanted = {
            self._version_of(view): view
            for view in published.arms
            if view.idle is None and view.mode != "shadow"
        }
        self._loaded = {version: served for version, served in self._loaded.items() if version in wanted}
        self._refused = {version: refused for version, refused in self._refused.items() if version in wanted}
        failed = {}
        for version, view in wanted.items():
            why, at = self._refused.get(version, ("", -_TRY_AGAIN_S))
            if version not in self._loaded and time.monotonic() - at >= _TRY_AGAIN_S:
                why = await self._load_one(version, view)
            if version not in self._loaded:
                failed[view.arm] = why
        return failed

    def _version_of(self, view: ArmView) -> Version:
        assert view.version is not None and view.digest is not None  # noqa: S101, PT018  # as it was read
        return Version(self._model, view.version, view.digest)

    async def _load_one(self, version: Version, view: ArmView) -> str:
        load = partial(
            load_model,
            Path(view.folder or ""),
            version,
            view.manifest or "",
            view.format,
            lenient=self._lenient,
        )
        try:
            self._loaded[version] = await asyncio.to_thread(load)
        except (ArtifactError, OSError) as error:
            self._refused[version] = (str(error), time.monotonic())
            log("arm_refused", "error", model=self._model, arm=view.arm, version=view.version, why=str(error))
            return str(error)
        self._refused.pop(version, None)
        log("arm_loaded", model=self._model, arm=view.arm, version=view.version, digest=view.digest)
        gc.collect()
        gc.freeze()  # as the stage does with what it loads
        return ""

    def _make(self, published: Published) -> Routing | None:
        if not published.arms and published.record is None:
            self.close()
            self._spool = None
            return None
        champion = Arm(CHAMPION, "champion", self._tally(CHAMPION_SLOT, CHAMPION))
        if self._spool is None and published.record is not None:
            limit = published.record.spool_mib * _MIB
            self._spool = Spool(self._places.spool, limit, champion.tally.unrecorded)
        arms, shadows = {}, []
        for slot, view in enumerate(published.arms, CHAMPION_SLOT + 1):
            tally = self._tally(slot, view.arm)
            if view.idle is not None or view.arm in self.off:
                continue
            if view.mode == "shadow":
                shadows.append(Shadow(view.arm, self._version_of(view).digest, self._queues[slot], tally))
            else:
                arms[view.arm] = Arm(view.arm, view.mode, tally, self._loaded[self._version_of(view)])
        spool = self._spool if published.record is not None else None
        return Routing(published, champion, arms, tuple(shadows), self._next_id, spool)

    def _tally(self, slot: int, arm: str) -> ArmTally:
        return ArmTally(self._cells(slot), arm)
