"""Who may do what on the embedded stack: a login to MLflow and an S3 identity for each role."""

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Self

from deploy.errors import CorruptStateError
from deploy.state import write_private

DATA_BUCKET = "greenroom"
ARTIFACT_BUCKET = "mlflow"
# Where the ledger's heads are kept: the server adds to it, everybody reads it.
LEDGER_BUCKET = "ledger"
SERVER_IDENTITY = "mlflow-server"

# What reading means to S3, and what writing adds to it.
_READ = ("Read", "List")
_WRITE = (*_READ, "Write", "Tagging")


class Role(StrEnum):
    """The people who use the stack. The name of a role is also its login to MLflow."""

    ADMIN = "admin"
    AUTHOR = "author"
    REVIEWER = "reviewer"
    OPERATOR = "operator"


# Actions of SeaweedFS, each on one bucket; without a bucket, on all of them.
def _on(bucket: str, actions: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{action}:{bucket}" for action in actions)


PERMISSIONS: Mapping[str, tuple[str, ...]] = {
    Role.ADMIN: ("Admin", *_WRITE),
    Role.AUTHOR: (*_on(DATA_BUCKET, _WRITE), *_on(LEDGER_BUCKET, _READ)),
    Role.REVIEWER: (*_on(DATA_BUCKET, _READ), *_on(LEDGER_BUCKET, _READ)),
    Role.OPERATOR: (*_on(DATA_BUCKET, _WRITE), *_on(LEDGER_BUCKET, _READ)),
    SERVER_IDENTITY: (*_on(ARTIFACT_BUCKET, _WRITE), *_on(LEDGER_BUCKET, _WRITE)),
}

# MLflow's own roles, by login. The one name is what registry/policy.yaml asks for.
MLFLOW_ROLES: Mapping[Role, str] = {Role.REVIEWER: "reviewer"}


@dataclass(frozen=True)
class S3Key:
    """What S3 requests are signed with."""

    access_key: str
    secret_key: str = field(repr=False)


@dataclass(frozen=True)
class Credentials:
    """Every secret of one state folder, made once."""

    passwords: Mapping[str, str] = field(repr=False)
    s3_keys: Mapping[str, S3Key] = field(repr=False)
    # Signs the forms of MLflow's own pages, and what the parts of SeaweedFS say to each other.
    signing_key: str = field(repr=False)
    # Encrypts the secrets of webhooks in the database, as a Fernet key.
    webhook_key: str = field(repr=False)

    @classmethod
    def generate(cls) -> Self:
        """Make new ones, from the randomness of the operating system."""
        return cls(
            passwords={role: secrets.token_urlsafe(24) for role in Role},
            s3_keys={
                name: S3Key(secrets.token_hex(10).upper(), secrets.token_urlsafe(30)) for name in PERMISSIONS
            },
            signing_key=secrets.token_urlsafe(32),
            webhook_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote; raises ValueError, KeyError or TypeError if it did not."""
        value = json.loads(text)
        return cls(
            passwords={role: str(value["mlflow"][role]) for role in Role},
            s3_keys={
                name: S3Key(value["s3"][name]["access_key"], value["s3"][name]["secret_key"])
                for name in PERMISSIONS
            },
            signing_key=str(value["signing_key"]),
            webhook_key=str(value["webhook_key"]),
        )

    def to_json(self) -> str:
        """Write them as JSON, for a file that only its owner can read."""
        value = {
            "mlflow": dict(self.passwords),
            "s3": {
                name: {"access_key": key.access_key, "secret_key": key.secret_key}
                for name, key in self.s3_keys.items()
            },
            "signing_key": self.signing_key,
            "webhook_key": self.webhook_key,
        }
        return json.dumps(value, indent=2) + "\n"


def read(path: Path) -> Credentials | None:
    """Read the credentials of a state folder; None where there are none yet."""
    try:
        return Credentials.from_json(path.read_text())
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptStateError(
            f"{path} is damaged ({type(error).__name__}); expected the passwords and S3 keys of "
            "this stack: restore the file, or start over with `python -m deploy clean-state`."
        ) from error


def read_or_create(path: Path) -> Credentials:
    """Read the credentials of a state folder, or make them where there are none."""
    credentials = read(path)
    if credentials is None:
        credentials = Credentials.generate()
        write_private(path, credentials.to_json())
    return credentials
