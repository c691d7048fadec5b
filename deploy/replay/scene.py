"""What runs while days go by: the stack, an endpoint, and the routes that it follows."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from deploy.errors import DeployError
from deploy.ports import LOOPBACK
from deploy.service import answers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_REPOSITORY = Path(__file__).resolve().parents[2]
_PATIENCE_S = 120.0
_LOOK_S = 0.2


@dataclass(frozen=True)
class Endpoint:
    """An endpoint of one model, on a port, that follows the routes in a folder of its own."""

    port: int
    routes: Path

    @classmethod
    def of(cls, port: int, declared: str, folder: Path) -> Endpoint:
        """Take the routes file of the repository that is called `declared` as the one to begin with."""
        folder.mkdir()
        routes = folder / declared
        routes.write_text((_REPOSITORY / "serving" / declared).read_text())
        return cls(port, routes)

    @contextmanager
    def running(self, model: str, environment: Mapping[str, str], log: Path) -> Iterator[None]:
        """Serve while the block runs. Raises DeployError where it does not come to answer."""
        command = [sys.executable, "-m", "serving", "start", model, "--port", str(self.port)]
        command += ["--routes", str(self.routes.parent)]
        with (
            log.open("ab") as file,
            subprocess.Popen(
                command, cwd=_REPOSITORY, env=dict(environment), stdout=file, stderr=file
            ) as process,
        ):
            try:
                _wait(lambda: answers(self.port, "/ready"), f"The endpoint did not come to answer; see {log}")
                yield
            finally:
                process.terminate()

    def shadow(self, version: int | None) -> None:
        """Let a version see a copy of each request, or none; return when that is so."""
        self.declare(version)
        if version is not None:
            _wait(
                lambda: self._active() == version,
                f"Version {version} did not come to see requests: {json.dumps(self._ready())[:2000]}",
            )

    def declare(self, version: int | None) -> None:
        """Write routes in which a version sees a copy of each request, or none does."""
        declared = yaml.safe_load(self.routes.read_text())
        arm = {"arm": "candidate", "version": version, "mode": "shadow"}
        declared["challengers"] = [] if version is None else [arm]
        self.routes.write_text(yaml.safe_dump(declared, sort_keys=False))

    def _active(self) -> int | None:
        for model in self._ready()["models"]:
            for arm in model.get("routes", {}).get("arms", []):
                if arm["arm"] == "candidate" and not arm.get("idle"):
                    return int(arm["version"] or 0)
        return None

    def _ready(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{self.port}/ready", timeout=30) as answer:  # ours
            found: dict[str, Any] = json.load(answer)
        return found


def _wait(until: Any, otherwise: str) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not until():
        if time.monotonic() > end:
            raise DeployError(otherwise)
        time.sleep(_LOOK_S)
