"""Calls the routes that Greenroom adds to the MLflow server, as MLflow's own client calls MLflow's."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request

from registry.connection import translated
from registry.errors import (
    NothingOnStageError,
    RefusedError,
    RegistryError,
    RegistryUnavailableError,
    UnknownVersionError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.connection import Registry

ROOT = "/api/2.0/greenroom"


def call(
    registry: Registry,
    method: str,
    path: str,
    doing: str,
    how: Mapping[str, Any] | None = None,
    /,
    **said: Any,
) -> dict[str, Any]:
    """Send `said` (as JSON, or as arguments of a GET) and return the answer.

    `how` goes to MLflow's `http_request`: headers, patience. A call is repeated where its answer was lost:
    what it does carries an attempt id, and is done once.
    Raises `RefusedError` with the server's sentences, and the rest of the `RegistryError` family.
    """
    values = {key: value for key, value in said.items() if value is not None}
    sent: dict[str, Any] = {"params": values} if method == "GET" else {"json": values}
    with translated(doing):
        answer = http_request(
            get_default_host_creds(registry.uri),
            f"{ROOT}{path}",
            method,
            raise_on_status=False,
            **sent,
            **(how or {}),
        )
    try:
        body = answer.json()
    except json.JSONDecodeError:
        body = None
    if answer.status_code == HTTPStatus.OK and isinstance(body, dict):
        return body
    raise _error(answer.status_code, body, doing)


def _error(status: int, body: Any, doing: str) -> RegistryError:
    said = body if isinstance(body, dict) else {}
    message = " ".join(str(said.get("message", "")).split())[:5000]
    if "reasons" in said:
        return RefusedError(message.partition(" is refused: ")[0], tuple(said["reasons"]))
    if said.get("nothing_on_stage"):
        return NothingOnStageError(message)
    if said.get("error_code") == "RESOURCE_DOES_NOT_EXIST":
        return UnknownVersionError(f"Could not {doing}: there is no such thing. {message}")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return RegistryUnavailableError(
            f"Could not {doing}: the MLflow server failed ({status}). {message} Try again, or see its log"
        )
    reasons: dict[int, str] = {
        HTTPStatus.UNAUTHORIZED: "MLflow does not accept this login. Check MLFLOW_TRACKING_USERNAME and"
        " MLFLOW_TRACKING_PASSWORD",
        HTTPStatus.FORBIDDEN: f"{message or 'this login may not do that'}. Ask an admin of the server",
        HTTPStatus.NOT_FOUND: "this MLflow server runs without Greenroom. Start it with --app-name greenroom"
        " and a greenroom+… registry store (docs/team.md)",
    }
    # A proxy may answer with a status that is nobody else's.
    why = reasons.get(status, message or f"the server answered {status}")
    return RegistryError(f"Could not {doing}: {why}")
