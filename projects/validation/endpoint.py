"""An endpoint of `mlflow models serve` on loopback, in a process and an environment of its own."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import requests

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

_READY_S, _POLL_S, _ASK_S, _STOP_S = 180.0, 0.05, 60, 10
_LAST_WORDS = 400
_ERROR = re.compile(r"[\w.]*(Error|Exception)\b")


class EndpointError(Exception):
    """An endpoint did not come up, went down, or answered something else; the message is one sentence."""


@dataclass(frozen=True)
class Endpoint:
    """One that answers. `load_s` is how long it took, from nothing to the first answer."""

    url: str
    load_s: float
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def memory_bytes(self) -> int:
        """What it takes now, with all of its processes."""
        whole = psutil.Process(self.process.pid)
        return sum(each.memory_info().rss for each in (whole, *whole.children(recursive=True)))

    def ask(self, body: bytes, rows: int) -> list[float]:
        """Post JSON to `/invocations`; return a prediction for each row. Raises `EndpointError`."""
        kind = {"Content-Type": "application/json"}
        try:
            response = requests.post(f"{self.url}/invocations", data=body, headers=kind, timeout=_ASK_S)
        except requests.RequestException as error:
            raise EndpointError(f"it went down over a request: {_last_words(self.log)}") from error
        if not response.ok:
            raise EndpointError(
                f"it answered {response.status_code} to a request of {rows} rows: {response.text[:300]}"
            )
        predictions = response.json().get("predictions")
        if not isinstance(predictions, list) or len(predictions) != rows:
            raise EndpointError(f"it answered {response.text[:100]!r}, expected {rows} predictions")
        return predictions


@contextmanager
def serve(artifact: Path, programs: Path) -> Iterator[Endpoint]:
    """Serve an artifact until the block ends. Raises `EndpointError` where it does not come up.

    It sees none of our variables, so no credentials either: what an artifact runs is not ours.
    """
    with tempfile.TemporaryDirectory(prefix="greenroom-serve-") as home:
        port, log = _free_port(), Path(home) / "log"
        command = [str(programs / "mlflow"), "models", "serve", "--model-uri", str(artifact)]
        began = time.monotonic()
        with log.open("wb") as written:
            process = subprocess.Popen(
                [*command, "--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)],
                env={
                    "PATH": os.pathsep.join([str(programs), "/usr/local/bin", "/usr/bin", "/bin"]),
                    "HOME": home,
                    "TMPDIR": home,
                    "MLFLOW_DISABLE_TELEMETRY": "true",
                    "DO_NOT_TRACK": "true",
                    "PYTHONDONTWRITEBYTECODE": "1",
                },
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(process, url, began, log)
            yield Endpoint(url, time.monotonic() - began, process, log)
        finally:
            _stop(process)


def as_json(rows: Sequence[dict[str, Any]]) -> bytes:
    """Return the body that asks for rows. JSON has no NaN; MLflow reads null as missing."""
    records = [
        {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()} for row in rows
    ]
    return json.dumps({"dataframe_records": records}).encode()


def _wait(process: subprocess.Popen[bytes], url: str, began: float, log: Path) -> None:
    while time.monotonic() - began < _READY_S:
        code = process.poll()
        if code is not None:
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
            raise EndpointError(f"it {how} before it answered: {_last_words(log)}")
        try:
            if requests.get(f"{url}/ping", timeout=_ASK_S).ok:
                return
        except requests.RequestException:
            pass
        time.sleep(_POLL_S)
    raise EndpointError(f"it did not answer within {_READY_S:.0f} s: {_last_words(log)}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    for how in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, how)
        except ProcessLookupError:
            return
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            continue


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _last_words(log: Path) -> str:
    said = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    # The first error is the cause; after it, whoever started the process says that it ended.
    errors = [line for line in said if _ERROR.match(line)]
    return (errors[0] if errors else " ".join(said[-3:]))[-_LAST_WORDS:] or "it said nothing"
