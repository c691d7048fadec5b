"""Why a version is not served, in one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.errors import RegistryError
from serving.errors import ServingError

if TYPE_CHECKING:
    from registry import ModelVersion


def why(wanted: ModelVersion, error: BaseException) -> str:
    """Say what making a version ready raised."""
    if isinstance(error, RegistryError | ServingError):
        return str(error)
    return (
        f"{wanted.name} version {wanted.version} could not be made ready:"
        f" {type(error).__name__}: {' '.join(str(error).split()):.300}"
    )
