"""The MLflow server on this machine: SQLite, logins, and artifacts proxied to S3."""

import configparser
import io
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.credentials import (
    ARTIFACT_BUCKET,
    LEDGER_BUCKET,
    MLFLOW_ROLES,
    SERVER_IDENTITY,
    Credentials,
    Role,
)
from deploy.logins import create_logins
from deploy.ports import LOOPBACK
from deploy.seaweedfs import REGION
from deploy.service import Launch, Service, base_environment
from deploy.state import StateFolder, write_private

# The first start creates the database, which takes most of its time on a busy machine.
_TIMEOUT_S = 300.0
# Passwords are hashed slowly on purpose; this is how long one check is remembered.
_LOGIN_CACHE_S = 60

# Uvicorn ends a worker that does not answer its supervisor within five seconds, and every request in it: on
# a busy machine, one that only waits for its turn. We give a minute to prove that it hangs.
PATIENT = {"uvicorn-opts": "--timeout-worker-healthcheck 60"}

# Telemetry is off in every process that talks to this stack.
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


def auth_config(database_uri: str, admin_password: str) -> str:
    """Render the file that MLflow's basic-auth app reads; it keeps logins and rights in that database."""
    config = configparser.ConfigParser(interpolation=None)
    config["mlflow"] = {
        "default_permission": "EDIT",
        "database_uri": database_uri,
        "admin_username": Role.ADMIN,
        "admin_password": admin_password,
        "authorization_function": "mlflow.server.auth:authenticate_request_basic_auth",
        "auth_cache_ttl_seconds": str(_LOGIN_CACHE_S),
    }
    text = io.StringIO()
    config.write(text)
    return text.getvalue()


def launch(
    folder: StateFolder,
    credentials: Credentials,
    ports: Mapping[str, int],
    environ: Mapping[str, str],
) -> Launch:
    """Write the login settings and say how to start MLflow against the S3 of `ports`."""
    config = folder.path / "auth.ini"
    logins = f"sqlite:///{folder.path / 'auth.db'}"
    write_private(config, auth_config(logins, credentials.passwords[Role.ADMIN]))
    key = credentials.s3_keys[SERVER_IDENTITY]
    port = ports[Service.MLFLOW]
    options = {
        # MLflow with its own logins, and Greenroom's rules behind its own interface.
        "app-name": "greenroom",
        "backend-store-uri": f"sqlite:///{folder.path / 'mlflow.db'}",
        "registry-store-uri": f"greenroom+sqlite:///{folder.path / 'mlflow.db'}",
        # Clients send artifacts to the server and need no S3 keys for them.
        "artifacts-destination": f"s3://{ARTIFACT_BUCKET}/artifacts",
        "host": LOOPBACK,
        "port": port,
        "workers": 1,
        **PATIENT,
    }
    return Launch(
        service=Service.MLFLOW,
        command=(
            str(Path(sys.executable).parent / "mlflow"),
            "server",
            *(f"--{name}={value}" for name, value in options.items()),
        ),
        environment={
            **base_environment(environ, folder),
            **QUIET,
            "MLFLOW_AUTH_CONFIG_PATH": str(config),
            "MLFLOW_FLASK_SERVER_SECRET_KEY": credentials.signing_key,
            # Four more processes, for jobs that Greenroom does not have.
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": credentials.webhook_key,
            "GREENROOM_LEDGER_HEADS": f"s3://{LEDGER_BUCKET}/heads",
            "MLFLOW_S3_ENDPOINT_URL": f"http://{LOOPBACK}:{ports[Service.S3]}",
            "AWS_ENDPOINT_URL_S3": f"http://{LOOPBACK}:{ports[Service.S3]}",
            "AWS_ACCESS_KEY_ID": key.access_key,
            "AWS_SECRET_ACCESS_KEY": key.secret_key,
            "AWS_DEFAULT_REGION": REGION,
        },
        port=port,
        timeout_s=_TIMEOUT_S,
    )


def create_users(port: int, credentials: Credentials) -> None:
    """Make a login for every role that has none yet; the server makes that of the admin.

    Raises ServiceFailedError where the server knows other passwords than our credentials.
    """
    remedy = (
        "expected it to know the passwords in credentials.json: restore that file and auth.db from the "
        "same time, or start over with `python -m deploy clean-state`."
    )
    roles = {str(login): [role] for login, role in MLFLOW_ROLES.items()}
    create_logins(port, credentials.passwords, roles, remedy)
