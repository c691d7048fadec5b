"""What is common to the services of the stack: their names, environment and first answer."""

import http.client
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from deploy.errors import ServiceFailedError, TransientError
from deploy.ports import LOOPBACK
from deploy.processes import Process, is_alive
from deploy.state import StateFolder

_POLL_S = 0.05
_PROBE_TIMEOUT_S = 2.0
_LOG_LINES = 5

# What a service may see of our own environment. The rest (proxies, profiles, somebody's AWS keys,
# another tracking server) would only change what it does.
_INHERITED = ("GREENROOM_POLICY", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "TZ")


class Service(StrEnum):
    """The processes of the stack, in the order in which they start."""

    S3 = "s3"
    MLFLOW = "mlflow"

    @property
    def title(self) -> str:  # type: ignore[override]  # str.title has no meaning for a name
        """Its name in sentences."""
        return {Service.S3: "S3", Service.MLFLOW: "MLflow"}[self]

    @property
    def health(self) -> str:
        """Where it answers 200 once it is ready."""
        return {Service.S3: "/healthz", Service.MLFLOW: "/health"}[self]

    def marker(self, folder: StateFolder) -> str:
        """Tell its processes from those of every other state folder."""
        return f"{self}:{folder.path}"

    def log(self, folder: StateFolder) -> Path:
        """Where its output goes."""
        return folder.logs / f"{self}.log"


@dataclass(frozen=True)
class Launch:
    """How to start a service, and how to know that it is ready."""

    service: Service
    command: tuple[str, ...]
    environment: Mapping[str, str]
    port: int
    timeout_s: float


def base_environment(environ: Mapping[str, str], folder: StateFolder) -> dict[str, str]:
    """Narrow an environment to what a service may see; home and scratch are the state folder."""
    narrowed = {name: environ[name] for name in _INHERITED if name in environ}
    return {**narrowed, "HOME": str(folder.path), "TMPDIR": str(folder.path / "tmp")}


def answers(port: int, path: str) -> bool:
    """Whether a service answers 200 there within two seconds."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_PROBE_TIMEOUT_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def comes_to_answer(process: Process, port: int, path: str, timeout_s: float) -> bool:
    """Wait for a service to answer; False if it ends first, or takes longer than `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while is_alive(process) and time.monotonic() < deadline:
        if answers(port, path):
            return True
        time.sleep(_POLL_S)
    return False


def wait_until_ready(launch: Launch, process: Process, log: Path) -> None:
    """Return when a service that was just started answers.

    Raises ServiceFailedError if it ends first, and TransientError if it takes too long.
    """
    if comes_to_answer(process, launch.port, launch.service.health, launch.timeout_s):
        return
    name = launch.service.title
    if not is_alive(process):
        raise ServiceFailedError(f"{name} ended before it was ready. The end of {log}:\n{_tail(log)}")
    raise TransientError(
        f"{name} (pid {process.pid}) did not answer on port {launch.port} within "
        f"{launch.timeout_s:g} s: see {log}, then try again."
    )


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    return "\n".join(f"  {line}" for line in [line for line in lines if line.strip()][-_LOG_LINES:])
