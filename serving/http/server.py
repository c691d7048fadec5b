"""The processes of an endpoint: gunicorn's arbiter, its workers, and the follower beside them.

The arbiter imports what workers need, and loads nothing: a booster that is loaded before a fork hangs the
children. It has no threads, so that forking is safe; whoever talks to the registry is a process of its own.
"""

from __future__ import annotations

import gc
import math
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter

from serving.http.worker import EndpointWorker
from serving.watching.logs import configure_gunicorn_logging, log
from serving.watching.tally import Tallies

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from pathlib import Path

    from serving.settings import Settings

# A worker whose event loop stood still for so long is killed and replaced.
_HUNG_S = 60
_AGAIN_S, _STOP_S = 2.0, 3.0


@dataclass(frozen=True)
class Plan:
    """What all processes of an endpoint share: settings, where the views lie, counts, and the socket."""

    settings: Settings
    views: tuple[Path, ...]
    tallies: Tallies
    listener: socket.socket

    @classmethod
    def of(cls, settings: Settings, views: Sequence[Path], listener: socket.socket) -> Plan:
        """Make a plan. There are slots for twice the workers: on a reload, old and new ones run at once."""
        tallies = Tallies.create(2 * settings.workers, settings.models)
        # Port 0 was whichever is free; the settings of a plan name the one that it became.
        settings = replace(settings, port=listener.getsockname()[1])
        return cls(settings, tuple(views), tallies, listener)


def run(plan: Plan) -> None:
    """Serve until a signal ends it. Does not return: gunicorn ends the process."""
    # What is imported now is in the memory that workers share; their collectors are not to touch it.
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
        _Arbiter(self, None if settings.offline else _Follower(settings.models)).run()


class _Arbiter(Arbiter):  # type: ignore[misc]  # gunicorn ships no types
    def __init__(self, application: _Endpoint, follower: _Follower | None) -> None:
        self._follower = follower
        super().__init__(application)

    def manage_workers(self) -> None:
        """Keep the follower alive, too; called each second."""
        super().manage_workers()
        if self._follower is not None:
            self._follower.keep()

    def stop(self, graceful: bool = True) -> None:  # noqa: FBT001, FBT002  # gunicorn's signature
        """End the workers, then the follower."""
        super().stop(graceful)
        if self._follower is not None:
            self._follower.stop()


class _Follower:
    """The process that asks the registry. Without it the endpoint serves on what it has."""

    def __init__(self, models: Sequence[str]) -> None:
        self._command = [sys.executable, "-m", "serving.following", *models]
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = -_AGAIN_S

    def keep(self) -> None:
        """Start it if it does not run, but not again and again."""
        if self._process is not None and self._process.poll() is None:
            return
        if time.monotonic() - self._started_at < _AGAIN_S:
            return
        if self._process is not None:
            log("follower_ended", "error", code=self._process.returncode)
        self._started_at = time.monotonic()
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL)

    def stop(self) -> None:
        """End it."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self._process.terminate()
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()


def _give_slot(arbiter: Arbiter, worker: EndpointWorker) -> None:
    taken = {each.slot for each in arbiter.WORKERS.values()}
    slots = worker.plan.tallies.workers
    # Somebody asked gunicorn for more workers than were planned (TTIN): the last ones share a row.
    worker.slot = min(set(range(slots)) - taken, default=slots - 1)
    worker.plan.tallies.take_over(worker.slot)


def _free_slot(_: Arbiter, worker: EndpointWorker) -> None:
    worker.plan.tallies.take_over(worker.slot)
