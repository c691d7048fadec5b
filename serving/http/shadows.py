"""The processes in which shadows of one model run, one for each that is published."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from serving.files import stamp_of
from serving.http.kept import Kept, Pauses
from serving.routing.published import read_published
from serving.watching.arms import CHAMPION_SLOT

if TYPE_CHECKING:
    from serving.http.server import Plan
    from serving.routing.published import ArmView

# A start costs seconds of imports on the processors that answer clients: so far apart, less than a request in
# a hundred falls into one, however often it dies. Another one in its place is started at once.
_PAUSES = Pauses(first_s=300, times=3, at_most_s=900)
# What a model answers with needs no login of ours, and code that it brings should find none.
_OURS = ("MLFLOW_TRACKING_", "AWS_", "GREENROOM_SERVING_TOKEN")


class Shadows:
    """Starts and ends them as the routes of a model say."""

    def __init__(self, plan: Plan, model: int) -> None:
        self._plan, self._model = plan, model
        self._stamp: object = None
        self._kept: dict[int, Kept] = {}
        self._views: dict[int, ArmView] = {}

    def keep(self) -> None:
        """Look at the routes, and keep the processes that they need."""
        path = self._plan.routes[self._model].published
        stamp = stamp_of(path)
        if stamp != self._stamp:
            self._stamp = stamp
            found = read_published(path)
            views = enumerate(found.arms if found else (), CHAMPION_SLOT + 1)
            wanted = {slot: view for slot, view in views if view.mode == "shadow" and view.idle is None}
            for slot in [slot for slot in self._kept if slot not in wanted]:
                self._kept.pop(slot).stop()
            for slot, view in wanted.items():
                kept = self._kept.setdefault(slot, self._shadow(slot))
                if view != self._views.get(slot):
                    kept.forgive()  # it is another one than the one that died
            self._views = wanted
        for each in self._kept.values():
            each.keep()

    def stop(self) -> None:
        """End all of them."""
        for each in self._kept.values():
            each.stop()

    def _shadow(self, slot: int) -> Kept:
        plan, queue = self._plan, self._plan.queues[self._model][slot]
        settings = plan.settings
        command = [
            sys.executable,
            "-m",
            "serving.shadowing",
            settings.models[self._model],
            "--slot",
            str(slot),
        ]
        command += ["--routes", str(plan.routes[self._model].folder), "--queue", str(queue.reader.fileno())]
        command += ["--tally", str(plan.arm_tallies.file), "--model-number", str(self._model)]
        command += ["--models", str(len(settings.models)), "--workers", str(plan.arm_tallies.workers)]
        command += ["--max-rows", str(settings.max_rows), "--max-body-bytes", str(settings.max_body_bytes)]
        if settings.lenient:
            command.append("--lenient")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        # One processor: the workers of the endpoint are busy beside it.
        environment = {**kept, "OMP_NUM_THREADS": "1"}
        inherits = (queue.reader.fileno(), plan.arm_tallies.file)
        return Kept("shadow", command, environment, inherits, _PAUSES)
