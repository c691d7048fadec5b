"""How fast the endpoint answers beside `mlflow models serve`, other servers and the least that is possible.

On an embedded stack of its own, with one model in Production that all of them serve. In each round one server
after the other is started, asked and stopped, so that what else the machine does falls on all of them. Who
asks is a process of its own, on the same machine; see `benchmarks.serving_load`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import deploy
from benchmarks.batch import environments
from benchmarks.batch_house import put_in_production
from benchmarks.serving_figures import CLIENTS, OURS, ROWS, Cell, Figures, Seen
from benchmarks.serving_load import Heard, UnexpectedAnswerError
from benchmarks.serving_requests import Requests
from benchmarks.serving_servers import SERVERS, Running, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

# Connections of the open loop: more than ever have a request out below saturation.
_OPEN_CLIENTS = 64
_LONGEST_S = 120


@dataclass(frozen=True)
class Asked:
    """What to measure: seconds of each figure, rounds, servers; `peers` is the Python of the others."""

    seconds: float
    rounds: int
    names: Sequence[str]
    peers: Path | None

    @property
    def steps(self) -> int:
        """How many times `notify` is called."""
        return 2 + self.rounds * len(self.servers)

    @property
    def servers(self) -> list[str]:
        """Return the names of those that can be measured, in the order of a round."""
        return [name for name in self.names if self.peers or not SERVERS[name].is_peer]


def run(asked: Asked, notify: Callable[[str], None] = lambda _: None) -> Figures:
    """Measure; `notify` hears of each step before it. Raises DeployError where the stack does not start."""
    with tempfile.TemporaryDirectory(prefix="greenroom-bench-") as scratch:
        folder = Path(scratch)
        notify("starting servers")
        with deploy.running(folder / "state", s3_port=0, mlflow_port=0) as stack:
            roles = environments(stack, folder)
            notify("training the model")
            artifact = put_in_production(roles["author"], roles["reviewer"])
            requests = _requests(artifact, folder)
            environment = {**roles["operator"], "BENCH_ARTIFACT": str(artifact)}
            rounds: list[dict[str, Seen]] = []
            unable: dict[str, str] = {}
            if OURS in asked.servers:
                # It starts from its cache, as it does on any day but the first.
                with suppress(UnexpectedAnswerError), _started(OURS, asked, environment, requests):
                    pass
            for _ in range(asked.rounds):
                rounds.append({})
                for name in asked.servers:
                    notify(SERVERS[name].title)
                    if name in unable:
                        continue
                    try:
                        rounds[-1][name] = _measure(name, asked, environment, requests)
                    except UnexpectedAnswerError as error:
                        unable[name] = str(error)
    return Figures(asked.seconds, tuple(rounds), unable)


def _requests(artifact: Path, folder: Path) -> Requests:
    import xgboost as xgb

    booster = xgb.Booster()
    booster.load_model(artifact / "model.ubj")
    requests = Requests(folder)
    for rows in ROWS:
        requests.write(booster, rows)
    return requests


def _measure(name: str, asked: Asked, environment: Mapping[str, str], requests: Requests) -> Seen:
    server = SERVERS[name]
    files = {rows: requests.file(server.protocol, rows) for rows in ROWS}
    with _started(name, asked, environment, requests) as up:
        idle = up.settled()

        def hear(rows: int, clients: int, rate: float | None = None) -> Cell:
            before = up.processor_s()
            arguments = (files[rows], up.port, server.path, clients, asked.seconds)
            heard = _hear(*arguments, *(() if rate is None else (rate,)))
            each_us = (up.processor_s() - before) / heard.asked * 1e6
            return Cell(tuple(heard.latencies_us), heard.answered / heard.seconds, heard.processor, each_us)

        closed = {(rows, clients): hear(rows, clients) for rows in ROWS for clients in CLIENTS}
        rate = max(closed[1, clients].rate for clients in CLIENTS) / 2
        half = hear(1, _OPEN_CLIENTS, rate)
        loaded, _ = up.memory()
    return Seen(up.ready_s, *idle, loaded, closed, rate, half)


@contextmanager
def _started(
    name: str, asked: Asked, environment: Mapping[str, str], requests: Requests
) -> Iterator[Running]:
    server = SERVERS[name]
    with (
        tempfile.TemporaryDirectory(prefix="greenroom-bench-") as folder,
        running(server, asked.peers, environment, requests.file(server.protocol, 1), Path(folder)) as up,
    ):
        yield up


def _hear(*arguments: object) -> Heard:
    command = [sys.executable, "-m", "benchmarks.serving_load", *map(str, arguments)]
    done = subprocess.run(
        command, cwd=Path(__file__).parent.parent, capture_output=True, timeout=_LONGEST_S, check=False
    )
    if done.returncode:
        raise UnexpectedAnswerError(done.stderr.decode(errors="replace").strip().splitlines()[-1])
    return Heard(**json.loads(done.stdout))
