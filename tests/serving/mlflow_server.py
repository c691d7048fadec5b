"""MLflow's own scoring server, asked in this process by its ASGI interface: the reference."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pytest
from mlflow.pyfunc import scoring_server


@dataclass(frozen=True)
class Said:
    """An answer of MLflow's."""

    status: int
    body: bytes


class MlflowServer:
    """What `mlflow models serve` runs, on a folder."""

    def __init__(self, folder: Path) -> None:
        self._app = scoring_server.init(mlflow.pyfunc.load_model(str(folder)))

    def ask(
        self, body: bytes, headers: Mapping[str, str], path: str = "/invocations", method: str = "POST"
    ) -> Said:
        return asyncio.run(self._ask(body, headers, path, method))

    async def _ask(self, body: bytes, headers: Mapping[str, str], path: str, method: str) -> Said:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 1),
        }
        sent: list[dict[str, Any]] = []
        over = asyncio.Event()

        async def receive() -> dict[str, Any]:
            if not received:
                received.append(True)
                return {"type": "http.request", "body": body, "more_body": False}
            await over.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        received: list[bool] = []
        try:
            await self._app(scope, receive, send)
        except Exception:  # noqa: BLE001  # Starlette answers 500, and raises it again for its server to log
            assert sent[0]["status"] == 500
        over.set()
        return Said(sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:]))


@contextmanager
def mlflow_serves(folder: Path) -> Iterator[MlflowServer]:
    """Load a folder as MLflow's server does; its settings are gone afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        # `init` says so to MLflow, for as long as the process lives.
        name = scoring_server._MLFLOW_IS_IN_SERVING_ENVIRONMENT.name
        patch.setenv(name, os.environ.get(name, "false"))
        yield MlflowServer(folder)
