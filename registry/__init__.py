"""Decides which model version is on stage, remembers who decided, and hands out verified models.

Knows nothing of training, jobs or web servers.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry.connection import Registry, connect, translated
    from registry.errors import (
        ArtifactError,
        NothingOnStageError,
        RefusedError,
        RegistryError,
        RegistryUnavailableError,
        UnknownVersionError,
    )
    from registry.history import Transition, read_history
    from registry.loading import fetch, load
    from registry.manifest import Manifest
    from registry.mlflow_client import prepare_client
    from registry.registration import register
    from registry.scorer import LOADER, Scorer
    from registry.stages import Stage
    from registry.transitions import approve, promote, request, rollback
    from registry.validation import Validation, record_validation
    from registry.versions import ModelVersion, find_version, list_versions, resolve

# MLflow takes seconds to import; each name is imported when it is first used.
_HOMES = {
    "connection": ("Registry", "connect", "translated"),
    "errors": (
        "ArtifactError",
        "NothingOnStageError",
        "RefusedError",
        "RegistryError",
        "RegistryUnavailableError",
        "UnknownVersionError",
    ),
    "history": ("Transition", "read_history"),
    "loading": ("fetch", "load"),
    "manifest": ("Manifest",),
    "mlflow_client": ("prepare_client",),
    "registration": ("register",),
    "scorer": ("LOADER", "Scorer"),
    "stages": ("Stage",),
    "transitions": ("approve", "promote", "request", "rollback"),
    "validation": ("Validation", "record_validation"),
    "versions": ("ModelVersion", "find_version", "list_versions", "resolve"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "LOADER",
    "ArtifactError",
    "Manifest",
    "ModelVersion",
    "NothingOnStageError",
    "RefusedError",
    "Registry",
    "RegistryError",
    "RegistryUnavailableError",
    "Scorer",
    "Stage",
    "Transition",
    "UnknownVersionError",
    "Validation",
    "approve",
    "connect",
    "fetch",
    "find_version",
    "list_versions",
    "load",
    "prepare_client",
    "promote",
    "read_history",
    "record_validation",
    "register",
    "request",
    "resolve",
    "rollback",
    "translated",
]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'registry' has no attribute {name!r}")
    return getattr(import_module(f"registry.{_HOME_OF[name]}"), name)
