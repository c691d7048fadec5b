"""What can go wrong between a caller and the registry."""

from __future__ import annotations


class RegistryError(Exception):
    """The registry answered, and the answer is no. Trying again will not help."""


class UnknownVersionError(RegistryError):
    """There is no such model or version, or the name of it is malformed."""


class NothingOnStageError(RegistryError):
    """The model exists, and no version of it is in the stage asked for."""


class RefusedError(RegistryError):
    """The rules of review do not allow this transition; `reasons` holds one sentence each."""

    def __init__(self, action: str, reasons: tuple[str, ...]) -> None:
        super().__init__(f"{action} is refused: " + " ".join(reasons))
        self.reasons = reasons


class ArtifactError(RegistryError):
    """The artifact is not what was registered, or cannot be scored with here."""


class RegistryUnavailableError(RegistryError):
    """The MLflow server did not answer. Trying again may help."""
