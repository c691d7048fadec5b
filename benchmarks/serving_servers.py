"""Which servers are compared, and how each is started, asked whether it is ready, weighed and stopped."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from array import array
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

from benchmarks.batch_house import MODEL
from benchmarks.serving_load import UnexpectedAnswerError, predictions
from deploy.ports import LOOPBACK, free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_READY_S, _STOP_S, _EACH_S = 120.0, 15.0, 0.01
_SETTLED_S, _SETTLING_S, _IDLE_SHARE = 20.0, 0.5, 0.1
_SAID_CHARACTERS = 600
_UVICORN = ("-m", "uvicorn", "--loop", "uvloop", "--http", "httptools", "--no-access-log")
_RAW = (*_UVICORN, "--log-level", "warning", "--port", "{port}", "--workers")
_MLFLOW = ("-m", "mlflow", "models", "serve", "-m", f"models:/{MODEL}/Production", "--env-manager", "local")


@dataclass(frozen=True)
class Server:
    """One to be measured: the arguments of its Python, `{port}` and `{folder}` to be put in."""

    title: str
    arguments: tuple[str, ...]
    workers: int = 1
    is_peer: bool = False
    protocol: str = "mlflow"
    path: str = "/invocations"
    environment: Mapping[str, str] = field(default_factory=dict)


def _ours(workers: int) -> tuple[str, ...]:
    return ("-m", "serving", "start", MODEL, "--port", "{port}", "--workers", str(workers))


# MLflow has uvicorn take uvloop and httptools where they are installed, as they are beside us. Without uvloop
# its `-w 2` answers 40 ms later: asyncio leaves Nagle's algorithm on for a socket that it is handed.
SERVERS = {
    "greenroom": Server("Greenroom", _ours(1)),
    "greenroom_2": Server("Greenroom, 2 workers", _ours(2), workers=2),
    "mlflow": Server("mlflow models serve", (*_MLFLOW, "--port", "{port}")),
    "mlflow_2": Server("mlflow models serve -w 2", (*_MLFLOW, "--port", "{port}", "-w", "2"), workers=2),
    "mlserver": Server(
        "MLServer",
        ("-m", "mlserver.cli.main", "start", "{folder}"),
        is_peer=True,
        protocol="open_inference",
        path=f"/v2/models/{MODEL}/infer",
        # A process less between a request and its prediction is faster for what takes so short.
        environment={"MLSERVER_PARALLEL_WORKERS": "0", "MLSERVER_HOST": LOOPBACK},
    ),
    "bentoml": Server(
        "BentoML",
        ("-m", "bentoml", "serve", "benchmarks.serving_bentoml:service", "--quiet", "--port", "{port}"),
        is_peer=True,
        environment={"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOST": LOOPBACK},
    ),
    "litserve": Server("LitServe", ("-m", "benchmarks.serving_litserve", "{port}"), is_peer=True),
    "floor": Server("floor: no checks, 1 thread", (*_RAW, "1", "benchmarks.serving_floor:app")),
    "floor_threads": Server(
        "floor, default threads",
        (*_RAW, "1", "benchmarks.serving_floor:app"),
        environment={"BENCH_THREADS": "0"},
    ),
    "floor_2": Server("floor, 2 workers", (*_RAW, "2", "benchmarks.serving_floor:app"), workers=2),
    "hello": Server("hello world", (*_RAW, "1", "benchmarks.serving_hello:app"), protocol="hello"),
}


@dataclass(frozen=True)
class Running:
    """A server that has answered. `ready_s` is how long that took, from nothing."""

    port: int
    ready_s: float
    pid: int

    def memory(self) -> tuple[int, int]:
        """Return bytes of all its processes: what they take together, and what each has for itself."""
        shared = private = 0
        for each in self._processes():
            with suppress(psutil.NoSuchProcess):
                found = each.memory_full_info()
                shared, private = shared + found.pss, private + found.uss
        return shared, private

    def settled(self) -> tuple[int, int]:
        """Return the same once it has stopped growing: some go on with imports after they are ready."""
        before, until = self.memory(), time.perf_counter() + _SETTLED_S
        while time.perf_counter() < until:
            began = self.processor_s()
            time.sleep(_SETTLING_S)
            found = self.memory()
            if found[0] < 1.01 * before[0] and self.processor_s() - began < _IDLE_SHARE * _SETTLING_S:
                return found
            before = found
        return before

    def processor_s(self) -> float:
        """Return the processor seconds that all its processes have taken."""
        taken = 0.0
        for each in self._processes():
            with suppress(psutil.NoSuchProcess):
                times = each.cpu_times()
                taken += times.user + times.system
        return taken

    def _processes(self) -> list[psutil.Process]:
        whole = psutil.Process(self.pid)
        return [whole, *whole.children(recursive=True)]


@contextmanager
def running(
    server: Server, peers: Path | None, environment: Mapping[str, str], requests: Path, folder: Path
) -> Iterator[Running]:
    """Run a server until the block ends; raises `UnexpectedAnswerError` where it does not come up."""
    port, *more = free_ports(3)
    python = str(peers) if server.is_peer and peers else sys.executable
    (folder / "model-settings.json").write_text(
        json.dumps({"name": MODEL, "implementation": "benchmarks.serving_mlserver.Bench"})
    )
    with (folder / "log").open("w+b") as log:
        began = time.perf_counter()
        process = subprocess.Popen(
            [python, *(each.format(port=port, folder=folder) for each in server.arguments)],
            env={
                **environment,
                **server.environment,
                "PATH": f"{os.path.dirname(python)}{os.pathsep}{environment['PATH']}",  # noqa: PTH120  # no resolving
                "MLSERVER_HTTP_PORT": str(port),
                "MLSERVER_GRPC_PORT": str(more[0]),
                "MLSERVER_METRICS_PORT": str(more[1]),
            },
            cwd=folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            _wait(process, server, port, requests)
            yield Running(port, time.perf_counter() - began, process.pid)
        except UnexpectedAnswerError as error:
            log.seek(0)
            said = log.read().decode(errors="replace").strip()[-_SAID_CHARACTERS:]
            raise UnexpectedAnswerError(f"{error}; its last words: {said or 'none'}") from error
        finally:
            _stop(process)


def _wait(process: subprocess.Popen[bytes], server: Server, port: int, requests: Path) -> None:
    document = json.loads(requests.read_text())
    until = time.perf_counter() + _READY_S
    while True:
        if process.poll() is not None:
            raise UnexpectedAnswerError(f"it ended with code {process.returncode} before it answered")
        status, body = _asked(port, server.path, document["bodies"][0])
        if status == http.HTTPStatus.OK:
            break
        if time.perf_counter() > until:
            raise UnexpectedAnswerError(f"no answer within {_READY_S:g} s, last: {status} {body[:200]!r}")
        time.sleep(_EACH_S)
    if document["answers"] and predictions(body) != array("f", document["answers"][0]):
        raise UnexpectedAnswerError(f"its first answer is not XGBoost's: {body[:200]!r}")


def _asked(port: int, path: str, body: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_READY_S)
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error).encode()
    finally:
        connection.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    # Its whole session: some leave workers behind when their parent is told to end.
    for what in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, what)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_S)
