"""An endpoint in processes of its own, as an operator starts it, and clients that keep asking it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import requests
from commands import REPOSITORY

_PATIENCE_S = 90.0


@dataclass(frozen=True)
class Endpoint:
    """A started endpoint; `log` is what it says on stderr, a JSON object a line."""

    url: str
    process: subprocess.Popen[str]
    log: Path

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def ready(self) -> dict[str, Any]:
        """What `/ready` says of the first model, beside whether all are ready."""
        said = requests.get(f"{self.url}/ready", timeout=10).json()
        return {"ready": said["ready"], "draining": said["draining"], **said["models"][0]}

    def wait_until(self, what: str, **expected: object) -> dict[str, Any]:
        """Wait until `/ready` says so; fails, naming `what`, where that does not happen."""
        until = time.monotonic() + _PATIENCE_S
        found: dict[str, Any] = {}
        while time.monotonic() < until:
            try:
                found = self.ready()
            except requests.RequestException:
                found = {}
            if found and all(found.get(name) == value for name, value in expected.items()):
                return found
            time.sleep(0.1)
        raise AssertionError(f"{what} did not happen: {found}\n{self.log.read_text()[-3000:]}")

    def workers(self) -> list[psutil.Process]:
        """The processes that answer: the arbiter's forks, and none of what runs beside them."""
        alive = self._children()
        return [c for c, said in alive if not any(part.startswith("serving.") for part in said)]

    def beside(self, module: str) -> list[psutil.Process]:
        """The processes beside the workers that run a module, such as `serving.following`."""
        return [child for child, said in self._children() if module in said]

    def _children(self) -> list[tuple[psutil.Process, list[str]]]:
        """Each child that lives, with its command. One may end while it is looked at."""
        found = []
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.NoSuchProcess):  # or a zombie, which is one
                found.append((child, child.cmdline()))
        return found

    def metrics(self) -> dict[str, float]:
        """Every sample of `/metrics` by its name with labels, as it is written."""
        text = requests.get(f"{self.url}/metrics", timeout=10).text
        lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in lines}


@contextmanager
def serving(
    folder: Path, environment: Mapping[str, str], models: str, *options: str, wait: bool = True
) -> Iterator[Endpoint]:
    """Run `python -m serving start` on a free port for the length of a block, and wait until it answers."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "endpoint.log"
    command = [sys.executable, "-m", "serving", "start", *models.split(), *options, "--port", "0"]
    with log.open("ab") as written:
        process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=written,
            text=True,
            start_new_session=True,
        )
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert " at http://" in said, f"{said}{process.wait(_PATIENCE_S)} {log.read_text()}"
        endpoint = Endpoint(said.split(" at ")[1].strip(), process, log)
        if wait:
            endpoint.wait_until("an answer", ready=True)
        yield endpoint
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(_PATIENCE_S)
        finally:
            # Whatever is left of it, should it not have ended.
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        if process.stdout is not None:
            process.stdout.close()


@dataclass
class Asked:
    """What clients heard: of each answer when it came, status, version, prediction and how long it took."""

    answers: list[tuple[float, int, int, float, float]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def versions(self) -> list[int]:
        """Each version that answered, in the order in which they first did after another."""
        found: list[int] = []
        for _, _, version, _, _ in sorted(self.answers):
            if not found or found[-1] != version:
                found.append(version)
        return found


@contextmanager
def asking(endpoint: Endpoint, body: bytes, *, clients: int = 4, pause_s: float = 0.005) -> Iterator[Asked]:
    """Have clients ask for the length of a block, each over a connection that it keeps."""
    heard, over = Asked(), threading.Event()
    lock = threading.Lock()

    def ask() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", endpoint.port, timeout=60)
        while not over.is_set():
            began = time.perf_counter()
            try:
                connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                said = json.loads(response.read())
            except (OSError, http.client.HTTPException, ValueError) as error:
                with lock:
                    heard.failures.append(repr(error))
                connection.close()
                time.sleep(0.05)
                continue
            took = time.perf_counter() - began
            version = int(response.headers.get("x-model-version", 0))
            prediction = said["predictions"][0] if response.status == 200 else float("nan")
            with lock:
                heard.answers.append((time.monotonic(), response.status, version, prediction, took))
                if response.status != 200:
                    heard.failures.append(f"{response.status}: {said}")
            time.sleep(pause_s)
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield heard
    finally:
        over.set()
        for thread in threads:
            thread.join()
