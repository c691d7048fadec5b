"""How MLflow's client behaves inside a command: set by every `__main__`, before MLflow is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import MutableMapping

_DEFAULTS = {
    # A server that is down is told after seconds, not after minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    # A bar for seven small files would be the only thing on the screen.
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
}


def prepare_client(environment: MutableMapping[str, str]) -> None:
    """Set what the user has not set."""
    for name, value in _DEFAULTS.items():
        environment.setdefault(name, value)
