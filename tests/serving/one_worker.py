"""The inside of a worker without a process around it: what a connection brings goes in as it is cut."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from served_house import version_of
from uvicorn.config import Config
from uvicorn.server import ServerState

from serving.http.app import Application
from serving.http.aside import Aside
from serving.http.describe import Describer
from serving.http.gate import Gate
from serving.http.heads import Doorkeeper
from serving.http.pages import Pages
from serving.http.protocol import guarded
from serving.http.shortcut_protocol import with_shortcut
from serving.http.stage import Stage
from serving.models.loading import load_booster
from serving.settings import Settings
from serving.watching.arms import ArmTallies
from serving.watching.layout import BOUNDS_S, STEPS
from serving.watching.tally import Tallies

if TYPE_CHECKING:
    from serving.http.stage import Standing

MODEL = "plain"


class Wire(asyncio.Transport):
    """The way back to a client."""

    def __init__(self, connection: asyncio.Protocol) -> None:
        super().__init__()
        self.heard = b""
        # Whether nothing more goes over it, and whether that is because this end closed it.
        self.is_over = self.was_closed = False
        # Which clocks run when all is said: that of a slow client, and that of a silent one.
        self.clocks = False, False
        self._connection = connection

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        ends = {"sockname": ("127.0.0.1", 5001), "peername": ("127.0.0.1", 40000)}
        return ends.get(name, default)

    def write(self, data: Any) -> None:
        if not self.is_over:
            self.heard += data

    def close(self) -> None:
        if not self.is_over:
            self.is_over = self.was_closed = True
            asyncio.get_running_loop().call_soon(self._connection.connection_lost, None)

    def break_off(self) -> None:
        """Have the client go away."""
        if not self.is_over:
            self.is_over = True
            self._connection.connection_lost(None)

    def is_closing(self) -> bool:
        return self.is_over

    def pause_reading(self) -> None:
        pass  # what was cut is fed all the same, as what a kernel had already handed over

    def resume_reading(self) -> None:
        pass


@dataclass
class Worker:
    """One that serves one version. `entered` counts what took the long way."""

    application: Application
    gate: Gate
    standing: Standing
    tallies: Tallies
    protocol: Any
    state: ServerState = field(default_factory=ServerState)
    entered: int = 0
    keep_alive_s: float = 60

    @classmethod
    def of(cls, folder: Path, *, has_shortcut: bool) -> Worker:
        settings = Settings(models=(MODEL,), max_rows=100, read_timeout_s=60)
        tallies = Tallies.create(1, settings.models)
        tally = tallies.worker(0)
        gate = Gate(settings.max_waiting, settings.max_held_bytes)
        stage = Stage(settings.models, [folder / "view.json"], tally)
        stage.standings[0].serves = load_booster(folder, version_of(folder, MODEL))
        pages = Pages(stage, tallies, ArmTallies.create(1, 1), Describer(settings), gate)
        aside = Aside(settings.threads, settings.deadline_s, gate)
        application = Application(
            settings, stage, Doorkeeper(settings.hosts, None), gate, aside, tally, pages
        )
        protocol = guarded(gate, settings, tally)
        if has_shortcut:
            protocol = with_shortcut(protocol, application.shortcut)
        worker = cls(application, gate, stage.standings[0], tallies, protocol)
        worker.state.default_headers = [(b"date", b"today")]
        return worker

    async def hears(
        self,
        pieces: Sequence[bytes],
        *,
        patient: bool = True,
        pause_s: float = 0,
        stops_reading_before: int | None = None,
    ) -> Wire:
        """Bring pieces of one connection, waiting after each for what becomes of it, or after the last.

        `pause_s` is for how long the client is silent then; before a piece it may stop to read answers, and
        goes on with it when all is said.
        """

        async def application(scope: Any, receive: Any, send: Any) -> None:
            self.entered += 1
            await self.application(scope, receive, send)

        config = Config(
            application,
            http=self.protocol,
            lifespan="off",
            log_config=None,
            ws="none",
            proxy_headers=False,
            timeout_keep_alive=self.keep_alive_s,  # type: ignore[arg-type]  # seconds, and parts of them
        )
        config.load()
        connection = self.protocol(config=config, server_state=self.state, app_state={})
        wire = Wire(connection)
        connection.connection_made(wire)
        for number, piece in enumerate(pieces):
            if wire.is_over:
                break
            if number == stops_reading_before:
                connection.pause_writing()
            connection.data_received(piece)
            if patient:
                await self._rest()
                await asyncio.sleep(pause_s)
        if stops_reading_before is not None:
            connection.resume_writing()
        await self._rest()
        silent = connection.timeout_keep_alive_task
        wire.clocks = connection._timer is not None, silent is not None and not silent.cancelled()
        wire.break_off()
        await self._rest()
        assert (self.gate.waiting, self.gate.held_bytes) == (0, 0)
        return wire

    def counts(self) -> list[float]:
        """All that was counted so far, but for how long it took."""
        row, shape = self.tallies.rows()[0], self.tallies.layout
        steps = [shape.buckets(0, step) for step in range(len(STEPS))]
        for first in steps:
            buckets = slice(first, first + len(BOUNDS_S) + 1)
            row[buckets] = [sum(row[buckets])] + [0.0] * len(BOUNDS_S)
            row[first - 1] = 0.0
        return [*row, self.state.total_requests]

    async def _rest(self) -> None:
        """Wait for what is whole, and let what is not have all that came of it."""
        async with asyncio.timeout(10):
            while self.gate.waiting:  # noqa: ASYNC110  # the gate tells nobody
                await asyncio.sleep(0.0005)
        for _ in range(8):
            await asyncio.sleep(0)
