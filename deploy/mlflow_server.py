"""The MLflow server on this machine: SQLite, logins, and artifacts proxied to S3."""

import base64
import configparser
import http.client
import io
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.credentials import (
    ARTIFACT_BUCKET,
    LEDGER_BUCKET,
    MLFLOW_ROLES,
    SERVER_IDENTITY,
    Credentials,
    Role,
)
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
    for role in Role:
        status, answer = _call(port, "GET", "2.0/mlflow/users/current", credentials, role)
        if status == http.client.UNAUTHORIZED and role is not Role.ADMIN:
            login = {"username": role, "password": credentials.passwords[role]}
            status, answer = _call(port, "POST", "2.0/mlflow/users/create", credentials, Role.ADMIN, login)
        if status != http.client.OK:
            raise ServiceFailedError(
                f"MLflow refused the login {str(role)!r} ({status}: "
                f"{answer.get('message', answer)}); expected it to know the passwords in "
                "credentials.json: restore that file and auth.db from the same time, or start "
                "over with `python -m deploy clean-state`."
            )
    _give_roles(port, credentials)


def _give_roles(port: int, credentials: Credentials) -> None:
    users = _admin(port, credentials, "GET", "2.0/mlflow/users/list")["users"]
    has = {user["username"]: {role["name"] for role in user["roles"]} for user in users}
    roles = _admin(port, credentials, "GET", "3.0/mlflow/roles/list")["roles"]
    known = {role["name"]: role["id"] for role in roles}
    for login, name in MLFLOW_ROLES.items():
        if name in has[login]:
            continue
        if name not in known:
            made = {"name": name, "workspace": "default"}
            known[name] = _admin(port, credentials, "POST", "3.0/mlflow/roles/create", made)["role"]["id"]
        given = {"username": login, "role_id": known[name]}
        _admin(port, credentials, "POST", "3.0/mlflow/roles/assign", given)


def _admin(
    port: int, credentials: Credentials, method: str, path: str, body: Mapping[str, Any] | None = None
) -> Any:
    status, answer = _call(port, method, path, credentials, Role.ADMIN, body)
    if status != http.client.OK:
        raise ServiceFailedError(f"MLflow refused {path} to its admin ({status}: {answer})")
    return answer


def _call(
    port: int,
    method: str,
    path: str,
    credentials: Credentials,
    role: Role,
    body: Mapping[str, Any] | None = None,
) -> tuple[int, dict[str, object]]:
    login = base64.b64encode(f"{role}:{credentials.passwords[role]}".encode()).decode()
    headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_CALL_TIMEOUT_S)
    try:
        connection.request(method, f"/api/{path}", json.dumps(body) if body else None, headers)
        response = connection.getresponse()
        text = response.read().decode(errors="replace")
    finally:
        connection.close()
    is_json = response.headers.get_content_type() == "application/json"
    answer = json.loads(text) if is_json else {"message": text.strip()}
    return response.status, answer
