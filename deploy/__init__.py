"""Deploy starts it all on one machine; it must not know how models are trained, judged or scored.

    with deploy.running(Path("/tmp/state"), s3_port=0, mlflow_port=0) as stack:
        subprocess.run(command, env={**os.environ, **stack.environment(Role.AUTHOR)})

Everything listens on loopback only. Importing this package is cheap: clients are imported where
they are used.
"""

from deploy.credentials import Role
from deploy.errors import (
    CorruptStateError,
    DeployError,
    NotStartedError,
    PortInUseError,
    ServiceFailedError,
    StateFolderError,
    TransientError,
    UsageError,
)
from deploy.lifecycle import clean_state, down, running, up
from deploy.settings import Settings
from deploy.stack import ServiceStatus, Stack, load, status

__all__ = [
    "CorruptStateError",
    "DeployError",
    "NotStartedError",
    "PortInUseError",
    "Role",
    "ServiceFailedError",
    "ServiceStatus",
    "Settings",
    "Stack",
    "StateFolderError",
    "TransientError",
    "UsageError",
    "clean_state",
    "down",
    "load",
    "running",
    "status",
    "up",
]
