"""The processes of an endpoint: gunicorn's arbiter, its workers, and the follower beside them.

The arbiter imports what workers need, and loads nothing: a booster that is loaded before a fork hangs the
children. It has no threads, so that forking is safe; whoever talks to the registry is a process of its own.
"""

from __future__ import annotations

import gc
import math
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter

from registry.trees import prepare
from serving.http.first_routes import publish_recording
from serving.http.kept import Kept
from serving.http.recorders import Recorders
from serving.http.shadow_queues import ShadowQueue, make_queues
from serving.http.shadows import Shadows
from serving.http.worker import EndpointWorker
from serving.routing.published import Places
from serving.watching.arms import ArmTallies
from serving.watching.logs import configure_gunicorn_logging
from serving.watching.tally import Tallies

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from serving.settings import Settings

# A worker whose event loop stood still for so long is killed and replaced.
_HUNG_S = 60


@dataclass(frozen=True)
class Plan:
    """What all processes of an endpoint share: settings, where views and routes lie, counts, and sockets.

    `queues` has one for each slot of each model.
    """

    settings: Settings
    views: tuple[Path, ...]
    tallies: Tallies
    listener: socket.socket
    routes: tuple[Places, ...]
    arm_tallies: ArmTallies
    queues: tuple[tuple[ShadowQueue, ...], ...]

    @classmethod
    def of(cls, settings: Settings, views: Sequence[Path], listener: socket.socket) -> Plan:
        """Make a plan. There are slots for twice the workers: on a reload, old and new ones run at once."""
        tallies = Tallies.create(2 * settings.workers, settings.models)
        # Port 0 was whichever is free; the settings of a plan name the one that it became.
        settings = replace(settings, port=listener.getsockname()[1])
        models = len(settings.models)
        return cls(
            settings,
            tuple(views),
            tallies,
            listener,
            tuple(Places.of(view, Path(settings.routes)) for view in views),
            ArmTallies.create(tallies.workers, models),
            make_queues(models),
        )


def run(plan: Plan) -> None:
    """Serve until a signal ends it. Does not return: gunicorn ends the process."""
    if not plan.settings.offline:  # where nobody follows routes, nobody records either
        publish_recording(plan.settings.models, plan.routes, plan.settings.routes)
    # Arrow's own pool takes four MiB of each worker for the first example; malloc's are there already.
    pa.set_memory_pool(pa.system_memory_pool())
    # What is imported and made now is in the memory that workers share; their collectors are not to touch it.
    prepare()
    gc.collect()
    gc.freeze()
    _Endpoint(plan).run()


class _Endpoint(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        super().__init__()

    def load_config(self) -> None:
        settings = self.plan.settings
        chosen = {
            "bind": f"fd://{self.plan.listener.fileno()}",
            "workers": settings.workers,
            "worker_class": EndpointWorker,
            "preload_app": True,
            "timeout": _HUNG_S,
            "graceful_timeout": math.ceil(settings.drain_delay_s + settings.drain_s) + 1,
            "logconfig_dict": configure_gunicorn_logging(),
            "control_socket_disable": True,
            "pre_fork": _give_slot,
            "child_exit": _free_slot,
        }
        for name, value in chosen.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return None  # each worker makes its own

    def run(self) -> None:
        settings = self.plan.settings
        follow = [sys.executable, "-m", "serving.following", *settings.models, "--routes", settings.routes]
        kept: list[Kept | Recorders | Shadows] = [] if settings.offline else [Kept("follower", follow)]
        kept.append(Recorders(settings.models, self.plan.routes, settings.routes))
        kept += [Shadows(self.plan, number) for number in range(len(settings.models))]
        _Arbiter(self, kept).run()


class _Arbiter(Arbiter):  # type: ignore[misc]  # gunicorn ships no types
    def __init__(self, application: _Endpoint, kept: Sequence[Kept | Recorders | Shadows]) -> None:
        self._kept = kept
        super().__init__(application)

    def manage_workers(self) -> None:
        """Keep what runs beside them alive, too; called each second."""
        super().manage_workers()
        for each in self._kept:
            each.keep()

    def stop(self, graceful: bool = True) -> None:  # noqa: FBT001, FBT002  # gunicorn's signature
        """End the workers, then what runs beside them."""
        super().stop(graceful)
        for each in self._kept:
            each.stop()


def _give_slot(arbiter: Arbiter, worker: EndpointWorker) -> None:
    taken = {each.slot for each in arbiter.WORKERS.values()}
    slots = worker.plan.tallies.workers
    # Somebody asked gunicorn for more workers than were planned (TTIN): the last ones share a row.
    worker.slot = min(set(range(slots)) - taken, default=slots - 1)
    worker.plan.tallies.take_over(worker.slot)


def _free_slot(_: Arbiter, worker: EndpointWorker) -> None:
    worker.plan.tallies.take_over(worker.slot)
