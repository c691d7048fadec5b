"""Stages, and the alias that follows them.

MLflow calls stages deprecated. This module, and the server's store behind MLflow's own interface, know
both stages and aliases, so that stages can go one day without anyone else noticing.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow.entities.model_registry import ModelVersion as MlflowVersion

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


@contextmanager
def _stages_are_meant() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="(?s).*deprecated.*stages.*", category=FutureWarning)
        yield
