"""Decides which model version is on stage, remembers who decided, and hands out verified models.

Knows nothing of training, jobs or web servers.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry.changes import Changes
    from registry.connection import Registry, connect, experiment_id, translated
    from registry.errors import (
        ArtifactError,
        NothingOnStageError,
        RefusedError,
        RegistryError,
        RegistryUnavailableError,
        UnknownVersionError,
    )
    from registry.exposures import Exposed, ExposureReview, end_exposure, exposed, list_exposures
    from registry.formats import LOADER
    from registry.history import Live, live_at
    from registry.ledger import Action, Line
    from registry.loading import fetch, load
    from registry.manifest import Manifest
    from registry.mlflow_client import prepare_client
    from registry.policy import Act
    from registry.registration import register
    from registry.reviews import Review, decide, list_requests, read_history, read_review, record_validation
    from registry.scorer import AnyScorer, Scorer, encode
    from registry.stages import Stage
    from registry.validation import Validation
    from registry.versions import ModelVersion, find_version, list_versions, resolve

# MLflow takes seconds to import; each name is imported when it is first used.
_HOMES = {
    "changes": ("Changes",),
    "connection": (
        "Registry",
        "connect",
        "experiment_id",
        "translated",
    ),
    "errors": (
        "ArtifactError",
        "NothingOnStageError",
        "RefusedError",
        "RegistryError",
        "RegistryUnavailableError",
        "UnknownVersionError",
    ),
    "exposures": ("Exposed", "ExposureReview", "end_exposure", "exposed", "list_exposures"),
    "formats": ("LOADER",),
    "history": (
        "Live",
        "live_at",
    ),
    "ledger": (
        "Action",
        "Line",
    ),
    "loading": (
        "fetch",
        "load",
    ),
    "manifest": ("Manifest",),
    "mlflow_client": ("prepare_client",),
    "policy": ("Act",),
    "registration": ("register",),
    "reviews": (
        "Review",
        "decide",
        "list_requests",
        "read_history",
        "read_review",
        "record_validation",
    ),
    "scorer": ("AnyScorer", "Scorer", "encode"),
    "stages": ("Stage",),
    "validation": ("Validation",),
    "versions": (
        "ModelVersion",
        "find_version",
        "list_versions",
        "resolve",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "LOADER",
    "Act",
    "Action",
    "AnyScorer",
    "ArtifactError",
    "Changes",
    "Exposed",
    "ExposureReview",
    "Line",
    "Live",
    "Manifest",
    "ModelVersion",
    "NothingOnStageError",
    "RefusedError",
    "Registry",
    "RegistryError",
    "RegistryUnavailableError",
    "Review",
    "Scorer",
    "Stage",
    "UnknownVersionError",
    "Validation",
    "connect",
    "decide",
    "encode",
    "end_exposure",
    "experiment_id",
    "exposed",
    "fetch",
    "find_version",
    "list_exposures",
    "list_requests",
    "list_versions",
    "live_at",
    "load",
    "prepare_client",
    "read_history",
    "read_review",
    "record_validation",
    "register",
    "resolve",
    "translated",
]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'registry' has no attribute {name!r}")
    return getattr(import_module(f"registry.{_HOME_OF[name]}"), name)
