"""What a user can set, read once from the environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from deploy.errors import UsageError

STATE_DIR = "GREENROOM_STATE_DIR"
S3_PORT = "GREENROOM_S3_PORT"
MLFLOW_PORT = "GREENROOM_MLFLOW_PORT"

# These would win over, or spoil, the keys that a role's environment sets.
UNSET = ("AWS_PROFILE", "AWS_SESSION_TOKEN")

_REPOSITORY = Path(__file__).resolve().parent.parent
_HIGHEST_PORT = 65535


@dataclass(frozen=True)
class Settings:
    """Where the state lives and which ports were asked for.

    A port of None was not asked for: the one used before, else the default. 0 takes a free one.
    """

    state_dir: Path
    s3_port: int | None
    mlflow_port: int | None

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read `GREENROOM_*`; raises UsageError where a port is not one."""
        state_dir = environ.get(STATE_DIR) or str(_REPOSITORY / ".greenroom")
        return cls(
            state_dir=Path(state_dir).expanduser().resolve(),
            s3_port=_port(S3_PORT, environ.get(S3_PORT)),
            mlflow_port=_port(MLFLOW_PORT, environ.get(MLFLOW_PORT)),
        )


def _port(name: str, text: str | None) -> int | None:
    if not text:
        return None
    # isdecimal alone would let other scripts' digits and very long numbers through.
    if text.isascii() and text.isdecimal() and len(text) <= len(str(_HIGHEST_PORT)):
        port = int(text)
        if port <= _HIGHEST_PORT:
            return port
    raise UsageError(
        f"{name} is {text!r}; expected a port number from 0 to {_HIGHEST_PORT} "
        "(0 takes a free one): set it again, or unset it for the default."
    )
