"""One worker process: gunicorn forks it, uvicorn runs its event loop, and here is what it is made of."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from uvicorn.server import Server
from uvicorn_worker import UvicornWorker

from serving.http.app import Application
from serving.http.arms import Arms
from serving.http.aside import Aside
from serving.http.describe import Describer
from serving.http.gate import Gate
from serving.http.heads import Doorkeeper
from serving.http.pages import Pages
from serving.http.protocol import guarded
from serving.http.shortcut_protocol import with_shortcut
from serving.http.stage import Stage
from serving.watching.logs import count_drops, log

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import FrameType

    from serving.http.server import Plan

_BOOT_ERROR = 3  # gunicorn.arbiter.Arbiter.WORKER_BOOT_ERROR


class EndpointWorker(UvicornWorker):  # type: ignore[misc]  # uvicorn-worker ships no types
    """A process that answers requests. Gunicorn's arbiter gives it a slot before it forks."""

    slot: int

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        plan: Plan = args[3].plan  # gunicorn hands over its application
        self.CONFIG_KWARGS = {
            "loop": "uvloop",
            "http": "httptools",
            "ws": "none",
            "lifespan": "off",
            "server_header": False,
            "access_log": False,
            # Nobody here asks who a client says that it is.
            "proxy_headers": False,
            "timeout_keep_alive": plan.settings.keep_alive_s,
            "timeout_graceful_shutdown": plan.settings.drain_s,
        }
        super().__init__(*args, **kwargs)
        self.plan = plan

    async def _serve(self) -> None:
        plan = self.plan
        # Beyond float32 is infinite, through every door; numpy need not warn of it each time.
        np.seterr(over="ignore", invalid="ignore")
        tally = plan.tallies.worker(self.slot)
        count_drops(tally.line_dropped)
        gate = Gate(plan.settings.max_waiting, plan.settings.max_held_bytes)
        arms = [
            Arms(
                name,
                plan.routes[number],
                partial(plan.arm_tallies.cells, self.slot, number),
                plan.queues[number],
                lenient=plan.settings.lenient,
            )
            for number, name in enumerate(plan.settings.models)
        ]
        stage = Stage(plan.settings.models, plan.views, tally, arms, lenient=plan.settings.lenient)
        aside = Aside(plan.settings.threads, plan.settings.deadline_s, gate)
        describer = Describer(plan.settings)
        pages = Pages(stage, plan.tallies, plan.arm_tallies, describer, gate)
        token = plan.settings.token.encode() if plan.settings.token else None
        doorkeeper = Doorkeeper(plan.settings.hosts, token)
        application = Application(plan.settings, stage, doorkeeper, gate, aside, tally, pages)
        self.config.app = application
        self.config.http = with_shortcut(guarded(gate, plan.settings, tally), application.shortcut)
        server = _DrainingServer(self.config, gate, plan.settings.drain_delay_s)
        self._install_sigquit_handler()
        async with _followed(stage):
            log("worker_ready", ready=stage.is_ready, slot=self.slot)
            await server.serve(sockets=self.sockets)
        aside.close()
        for each in arms:
            each.close()
        if not server.started:
            sys.exit(_BOOT_ERROR)


class _DrainingServer(Server):
    """Says for a while that it is not ready, so that no new requests come, before it stops listening."""

    def __init__(self, config: Any, gate: Gate, delay_s: float) -> None:
        super().__init__(config)
        self._gate, self._delay_s = gate, delay_s

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop: at once on Ctrl-C, after the delay on SIGTERM."""
        if sig != signal.SIGTERM or self._delay_s == 0:
            super().handle_exit(sig, frame)
            return
        self._gate.is_draining = True
        loop = asyncio.get_running_loop()
        loop.call_soon_threadsafe(loop.call_later, self._delay_s, super().handle_exit, sig, None)


@asynccontextmanager
async def _followed(stage: Stage) -> AsyncIterator[None]:
    """Have the first versions before anybody is let in, and the next ones when their views change."""
    await stage.load_all()
    follow = asyncio.create_task(stage.follow())
    try:
        yield
    finally:
        follow.cancel()
