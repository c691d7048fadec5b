"""Stages, and the alias that follows them.

MLflow calls stages deprecated. This module alone knows both stages and aliases, so that stages can
go one day without anyone else noticing.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING

from registry.connection import translated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow.entities.model_registry import ModelVersion as MlflowVersion

    from registry.connection import Registry

ALIAS = "production"


class Stage(StrEnum):
    """Where a version stands. `NONE` is in the green room: registered, not yet reviewed."""

    NONE = "None"
    STAGING = "Staging"
    PRODUCTION = "Production"
    ARCHIVED = "Archived"


def stage_of(version: MlflowVersion) -> Stage:
    """Return the stage of a version as MLflow reports it."""
    with _stages_are_meant():
        return Stage(version.current_stage)


def assign(registry: Registry, name: str, version: int, stage: Stage) -> None:
    """Put a version in a stage. Whatever was in Production before is archived by a new one.

    The alias `production` is moved, or removed, with the stage.
    """
    action = f"move {name} version {version} to {stage}"
    with translated(action), _stages_are_meant():
        before = registry.client.get_model_version(name, str(version)).current_stage
        if before == Stage.PRODUCTION and stage is not Stage.PRODUCTION:
            # First, because a login may be allowed to move versions and not to remove an alias.
            registry.client.delete_registered_model_alias(name, ALIAS)
        registry.client.transition_model_version_stage(
            name,
            str(version),
            stage.value,
            archive_existing_versions=stage is Stage.PRODUCTION,
        )
        if stage is Stage.PRODUCTION:
            registry.client.set_registered_model_alias(name, ALIAS, str(version))


@contextmanager
def _stages_are_meant() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="(?s).*deprecated.*stages.*", category=FutureWarning)
        yield
