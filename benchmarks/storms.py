"""What an endpoint does in a storm: versions that change under load, a crowd, a worker that dies.

On an embedded stack of its own, with two versions of one model. Whoever asks is a process of its own on the
same machine; a figure under a storm stands beside the one of a calm, in one run.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

import deploy
from benchmarks.batch import environments
from benchmarks.batch_house import COLUMNS, MODEL, put_in_production
from benchmarks.serving_load import UnexpectedAnswerError
from benchmarks.serving_servers import SERVERS, Running, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

STEPS = 6
# Requests a second that two workers answer with ease, so that what a swap costs can be seen.
_CALM_RATE = 300.0
_CLIENTS, _CROWD, _LARGE_ROWS = 8, 256, 200
_PING_EVERY_S, _LONGEST_S, _PROMPT_S = 0.02, 600, 60
_MIB = 2**20


@dataclass(frozen=True)
class Asked:
    """Seconds of each load, and of the reign of each version while versions change."""

    seconds: float
    reign_s: float


@dataclass
class Storms:
    """What was heard in the calm and in each storm, as `benchmarks.storm_load` says it."""

    calm: dict[str, Any] = field(default_factory=dict)
    swaps: dict[str, Any] = field(default_factory=dict)
    swapped: int = 0
    slowest_swap_s: float = 0.0
    capacity: float = 0.0
    offered: float = 0.0
    overload: dict[str, Any] = field(default_factory=dict)
    ping_p99_ms: float = 0.0
    ping_max_ms: float = 0.0
    memory_mib: tuple[float, float] = (0.0, 0.0)
    after: dict[str, Any] = field(default_factory=dict)
    kill_failures: int = 0
    kill_clients: int = _CLIENTS
    kill_answers: int = 0


def run(asked: Asked, notify: Callable[[str], None] = lambda _: None) -> Storms:
    """Measure; `notify` hears of each step before it. Raises DeployError where the stack does not start."""
    found = Storms()
    with tempfile.TemporaryDirectory(prefix="greenroom-bench-") as scratch:
        folder = Path(scratch)
        notify("starting servers")
        with deploy.running(folder / "state", s3_port=0, mlflow_port=0) as stack:
            roles = environments(stack, folder)
            notify("training two versions")
            artifacts = [put_in_production(roles["author"], roles["reviewer"], seed) for seed in (0, 1)]
            small, large = (_write(artifacts, rows, folder) for rows in (1, _LARGE_ROWS))
            server = SERVERS["greenroom_2"]
            first = _as_one_version(small, len(artifacts))
            with running(server, None, roles["operator"], first, folder) as up:
                notify("calm")
                found.calm = _ask(small, up, _CLIENTS, asked.seconds, _CALM_RATE)
                notify("versions that change")
                _swaps(found, asked, small, up, roles["reviewer"])
                notify("a crowd")
                _overload(found, asked, small, large, up)
                notify("a worker that dies")
                _kill(found, small, up)
    return found


def _write(artifacts: Sequence[Path], rows: int, folder: Path) -> Path:
    import xgboost as xgb

    values = np.random.default_rng(rows).standard_normal((64, rows, len(COLUMNS))).round(4)
    answers = {}
    for version, artifact in enumerate(artifacts, start=1):
        booster = xgb.Booster(model_file=artifact / "model.ubj")
        answers[str(version)] = [booster.inplace_predict(m.astype(np.float32)).tolist() for m in values]
    bodies = [json.dumps({"dataframe_split": {"columns": COLUMNS, "data": m.tolist()}}) for m in values]
    path = folder / f"storm-{rows}.json"
    path.write_text(json.dumps({"bodies": bodies, "answers": answers}))
    return path


def _as_one_version(file: Path, version: int) -> Path:
    """Write the requests of a file with what one version answers to them, as servers are waited for."""
    document = json.loads(file.read_text())
    path = file.with_suffix(".first.json")
    path.write_text(json.dumps({**document, "answers": document["answers"][str(version)]}))
    return path


def _start(
    file: Path, up: Running, clients: int, seconds: float, rate: float | None
) -> subprocess.Popen[str]:
    arguments = [file, up.port, clients, seconds, *([] if rate is None else [rate])]
    command = [sys.executable, "-m", "benchmarks.storm_load", *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=Path(__file__).parent.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    said, wrong = process.communicate(timeout=_LONGEST_S)
    if process.returncode:
        raise UnexpectedAnswerError(wrong.strip().splitlines()[-1] if wrong.strip() else "the asker ended")
    return dict(json.loads(said))


def _ask(file: Path, up: Running, clients: int, seconds: float, rate: float | None) -> dict[str, Any]:
    return _finish(_start(file, up, clients, seconds, rate))


def _swaps(found: Storms, asked: Asked, small: Path, up: Running, reviewer: Mapping[str, str]) -> None:
    asking = _start(small, up, _CLIENTS, asked.seconds, _CALM_RATE)
    until, version = time.monotonic() + asked.seconds - asked.reign_s, 2
    while time.monotonic() < until:
        version = 3 - version
        began = time.monotonic()
        _roll_back(version, reviewer)
        while _version(up) != version:
            if time.monotonic() - began > _PROMPT_S:
                raise UnexpectedAnswerError(f"version {version} is not served after {_PROMPT_S} s")
            time.sleep(_PING_EVERY_S)
        found.slowest_swap_s = max(found.slowest_swap_s, time.monotonic() - began)
        found.swapped += 1
        time.sleep(max(0.0, asked.reign_s - (time.monotonic() - began)))
    found.swaps = _finish(asking)


def _roll_back(version: int, reviewer: Mapping[str, str]) -> None:
    command = [sys.executable, "-m", "registry", "rollback", MODEL, "--to", str(version), "--reason", "storm"]
    subprocess.run(command, env=dict(reviewer), check=True, stdout=subprocess.DEVNULL)


# A crowd asks again as soon as it is answered, also with 503: so often as the endpoint can say no.
def _overload(found: Storms, asked: Asked, small: Path, large: Path, up: Running) -> None:
    calm = _ask(large, up, 2, max(asked.seconds / 4, 1), None)
    found.capacity = sum(calm["statuses"].values()) / max(asked.seconds / 4, 1)
    before, _ = up.memory()
    with _pinging(up) as pings:
        found.overload = _ask(large, up, _CROWD, asked.seconds, None)
    found.offered = sum(found.overload["statuses"].values()) / asked.seconds
    found.ping_p99_ms, found.ping_max_ms = float(np.percentile(pings, 99)), max(pings)
    found.after = _ask(small, up, _CLIENTS, max(asked.seconds / 4, 1), _CALM_RATE)
    found.memory_mib = (before / _MIB, up.memory()[0] / _MIB)


@contextmanager
def _pinging(up: Running) -> Iterator[list[float]]:
    """Ask `/ping` over and over, over a new connection each time as probes do; yield what it took, ms."""
    took, over = [], threading.Event()

    def ping() -> None:
        while not over.wait(_PING_EVERY_S):
            began = time.perf_counter()
            connection = http.client.HTTPConnection("127.0.0.1", up.port, timeout=_PROMPT_S)
            connection.request("GET", "/ping")
            if connection.getresponse().status == http.HTTPStatus.OK:
                took.append(1000 * (time.perf_counter() - began))
            connection.close()

    thread = threading.Thread(target=ping)
    thread.start()
    try:
        yield took
    finally:
        over.set()
        thread.join()


def _kill(found: Storms, small: Path, up: Running) -> None:
    body = json.loads(small.read_text())["bodies"][0].encode()
    over, lock = threading.Event(), threading.Lock()

    def ask() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", up.port, timeout=_PROMPT_S)
        while not over.is_set():
            try:
                connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                failed = answer.status != http.HTTPStatus.OK
            except (OSError, http.client.HTTPException):
                failed = True
                connection.close()
            with lock:
                found.kill_failures += failed
                found.kill_answers += not failed

    threads = [threading.Thread(target=ask) for _ in range(_CLIENTS)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    workers = [p for p in psutil.Process(up.pid).children() if "serving.following" not in p.cmdline()]
    os.kill(workers[0].pid, signal.SIGKILL)
    time.sleep(5)
    over.set()
    for thread in threads:
        thread.join()


def _version(up: Running) -> int:
    """Return the version that all workers serve, as far as some asking tells; 0 where they differ."""
    found = set()
    for _ in range(2 * SERVERS["greenroom_2"].workers + 2):
        connection = http.client.HTTPConnection("127.0.0.1", up.port, timeout=_PROMPT_S)
        connection.request("GET", "/ready")
        found.add(json.loads(connection.getresponse().read())["models"][0]["version"])
        connection.close()
    return found.pop() or 0 if len(found) == 1 else 0
