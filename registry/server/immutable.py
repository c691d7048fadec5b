"""Keeps the artifact of a registered version as it is, where clients write artifacts through the server.

Digests find a changed file when it is loaded; this refuses to change it in the first place. What is
uploaded straight to S3 never passes here: there, digests are the wall.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import sqlalchemy as sa
from mlflow.exceptions import MlflowException
from mlflow.utils.uri import validate_path_is_safe
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from registry.server import artifacts
from registry.server.install import DELETED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy.engine import Engine

# MLflow has a second door, for its own pages.
_UPLOAD = re.compile(r"/mlflow/upload-artifact/?")
_PROXY = re.compile(r"/mlflow-artifacts/(?:artifacts|mpu/[a-z]+)/(?P<path>.*)", re.DOTALL)
_REGISTERED = sa.text(
    "SELECT v.name, v.version, v.current_stage, v.storage_location, r.artifact_uri FROM model_versions v"
    " JOIN model_version_tags t ON t.workspace = v.workspace AND t.name = v.name AND t.version = v.version"
    " LEFT JOIN runs r ON v.storage_location LIKE 'runs:/%'"
    " AND r.run_uuid = substr(v.storage_location, 7, 32)"
    " WHERE t.key = 'greenroom.manifest' AND v.current_stage <> :deleted"
)


def refusal(engine: Engine, method: str, url_path: str, query: str) -> str | None:
    """Say why a request may not write where it wants to; None where it may.

    Nobody adds to a registered artifact or replaces a file of it. It can be deleted, as `mlflow gc`
    does, unless its version is on stage.
    """
    if method not in {"PUT", "POST", "PATCH", "DELETE"}:
        return None
    written = _written(engine, url_path, query)
    if written is None:
        return None
    try:
        # What MLflow will make of it: decoded as often as it takes.
        path = posixpath.normpath(validate_path_is_safe(written[1]))
    except MlflowException:
        return None  # which MLflow refuses by itself
    target = artifacts.physical(posixpath.join(written[0], "" if path == "." else path))
    with engine.connect() as connection:
        rows = connection.execute(_REGISTERED, {"deleted": DELETED}).all()
    for name, version, stage, location, of_run in rows:
        if method == "DELETE" and stage not in ("Staging", "Production"):
            continue
        # A version may have been registered as `runs:/RUN/path`, which lies below that run.
        root = artifacts.physical(f"{of_run}{location[len('runs:/') + 32 :]}" if of_run else location)
        if f"{target}/".startswith(f"{root}/") or (
            method == "DELETE" and f"{root}/".startswith(f"{target}/")
        ):
            return (
                f"{posixpath.basename(target)!r} belongs to {name} version {version}, whose artifact is fixed"
                " since it was registered. Log a new model instead."
            )
    return None


def _written(engine: Engine, url_path: str, query: str) -> tuple[str, str] | None:
    """Return the location of the folder that is written below, and the path in it."""
    found = _PROXY.search(url_path)
    if found is not None:
        return "mlflow-artifacts:", found["path"]
    if _UPLOAD.search(url_path) is None:
        return None
    said = {key: values[0] for key, values in parse_qs(query).items()}
    with engine.connect() as connection:
        of_run = sa.text("SELECT artifact_uri FROM runs WHERE run_uuid = :run")
        root = connection.scalar(of_run, {"run": said.get("run_uuid", "")})
    return (root, said.get("path", "")) if root else None


class KeepsArtifacts:
    """The same as a layer of the ASGI app, inside MLflow's login."""

    def __init__(self, app: Callable[..., Awaitable[None]], engine: Engine) -> None:
        self.app = app
        self.engine = engine

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer 400 where the rule says so, else pass the request on."""
        if scope["type"] == "http":
            said = None
            if _PROXY.search(scope["path"]) or _UPLOAD.search(scope["path"]):
                asked = scope["method"], scope["path"], scope["query_string"].decode("latin-1")
                said = await run_in_threadpool(refusal, self.engine, *asked)
            if said:
                body = {"error_code": "INVALID_PARAMETER_VALUE", "message": said}
                await JSONResponse(body, status_code=400)(scope, receive, send)
                return
        await self.app(scope, receive, send)
