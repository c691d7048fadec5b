"""The MLflow server on this machine: SQLite, logins, and artifacts proxied to S3."""

import base64
import configparser
import http.client
import io
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.credentials import ARTIFACT_BUCKET, SERVER_IDENTITY, Credentials, Role
from deploy.errors import ServiceFailedError
from deploy.ports import LOOPBACK
from deploy.seaweedfs import REGION
from deploy.service import Launch, Service, base_environment
from deploy.state import StateFolder, write_private

# The first start creates the database, which takes most of its time on a busy machine.
_TIMEOUT_S = 120.0
_CALL_TIMEOUT_S = 30.0
# Passwords are hashed slowly on purpose; this is how long one check is remembered.
_LOGIN_CACHE_S = 60

# Telemetry is off in every process that talks to this stack.
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


def auth_config(folder: StateFolder, credentials: Credentials) -> str:
    """Render the file that MLflow's basic-auth app reads."""
    config = configparser.ConfigParser(interpolation=None)
    config["mlflow"] = {
        "default_permission": "EDIT",
        "database_uri": f"sqlite:///{folder.path / 'auth.db'}",
        "admin_username": Role.ADMIN,
        "admin_password": credentials.passwords[Role.ADMIN],
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
    write_private(config, auth_config(folder, credentials))
    key = credentials.s3_keys[SERVER_IDENTITY]
    port = ports[Service.MLFLOW]
    options = {
        "app-name": "basic-auth",
        "backend-store-uri": f"sqlite:///{folder.path / 'mlflow.db'}",
        # Clients send artifacts to the server and need no S3 keys for them.
        "artifacts-destination": f"s3://{ARTIFACT_BUCKET}/artifacts",
        "host": LOOPBACK,
        "port": port,
        "workers": 1,
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
            "MLFLOW_S3_ENDPOINT_URL": f"http://{LOOPBACK}:{ports[Service.S3]}",
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
    for role in Role:
        status, answer = _call(port, "GET", "users/current", credentials, role)
        if status == http.client.UNAUTHORIZED and role is not Role.ADMIN:
            login = {"username": role, "password": credentials.passwords[role]}
            status, answer = _call(port, "POST", "users/create", credentials, Role.ADMIN, login)
        if status != http.client.OK:
            raise ServiceFailedError(
                f"MLflow refused the login {str(role)!r} ({status}: "
                f"{answer.get('message', answer)}); expected it to know the passwords in "
                "credentials.json: restore that file and auth.db from the same time, or start "
                "over with `python -m deploy clean-state`."
            )


def _call(
    port: int,
    method: str,
    path: str,
    credentials: Credentials,
    role: Role,
    body: Mapping[str, str] | None = None,
) -> tuple[int, dict[str, object]]:
    login = base64.b64encode(f"{role}:{credentials.passwords[role]}".encode()).decode()
    headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_CALL_TIMEOUT_S)
    try:
        connection.request(method, f"/api/2.0/mlflow/{path}", json.dumps(body) if body else None, headers)
        response = connection.getresponse()
        text = response.read().decode(errors="replace")
    finally:
        connection.close()
    is_json = response.headers.get_content_type() == "application/json"
    answer = json.loads(text) if is_json else {"message": text.strip()}
    return response.status, answer
