"""What can go wrong while starting and stopping the stack, in sentences."""

from pathlib import Path


class DeployError(Exception):
    """The base of this family: something that has to be put right before it is tried again."""


class UsageError(DeployError):
    """A setting or an argument is not one of the allowed ones."""


class TransientError(DeployError):
    """Trying again later can help."""


class NotStartedError(DeployError):
    """The stack, or the part of it that was asked for, was never started."""

    def __init__(self, what: str, state_dir: Path) -> None:
        """Name what is missing (`S3`, `MLflow`) and the state folder it was looked up in."""
        super().__init__(
            f"{what} was never started in {state_dir}: run `python -m deploy up` (or `make up`)."
        )


class PortInUseError(DeployError):
    """A port that the stack needs belongs to somebody else."""

    def __init__(self, port: int, service: str, owner: str, setting: str) -> None:
        """Name the port, the service that wants it, who has it, and the setting that moves it."""
        super().__init__(
            f"Port {port}, needed for {service}, is in use by {owner}: "
            f"stop it, or set {setting} to another port (0 takes a free one)."
        )
        self.port = port


class ServiceFailedError(DeployError):
    """A service ended, or was refused, before it was ready."""


class MissingProgramError(DeployError):
    """A program that Greenroom does not bring is not on this machine; the message says what to install."""


class StateFolderError(DeployError):
    """A folder is not one of ours, so nothing is written to it or removed from it."""


class CorruptStateError(DeployError):
    """A file in the state folder does not hold what was written to it."""
