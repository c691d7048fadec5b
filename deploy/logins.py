"""Logins and roles of an MLflow server on loopback, over MLflow's own REST API."""

import base64
import http.client
import json
from collections.abc import Iterable, Mapping
from typing import Any

from deploy.credentials import Role
from deploy.errors import ServiceFailedError
from deploy.ports import LOOPBACK

_TIMEOUT_S = 30.0
_WORKSPACE = "default"


def create_logins(
    port: int, passwords: Mapping[str, str], roles: Mapping[str, Iterable[str]], remedy: str
) -> None:
    """Make the logins and roles that are missing, and give each login its roles.

    The server makes the login of the admin itself. Raises ServiceFailedError where it knows other
    passwords than these, or refuses; `remedy` says what to do then.
    """
    for login, password in passwords.items():
        status, answer = _call(port, passwords, login, "GET", "2.0/mlflow/users/current")
        if status == http.client.UNAUTHORIZED and login != Role.ADMIN:
            made = {"username": login, "password": password}
            status, answer = _call(port, passwords, Role.ADMIN, "POST", "2.0/mlflow/users/create", made)
        if status != http.client.OK:
            raise ServiceFailedError(
                f"MLflow refused the login {str(login)!r} ({status}:"
                f" {answer.get('message', answer)}); {remedy}"
            )

    def ask(method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        status, answer = _call(port, passwords, Role.ADMIN, method, path, body)
        if status != http.client.OK:
            raise ServiceFailedError(f"MLflow refused {path} to its admin ({status}: {answer}); {remedy}")
        return answer

    users = ask("GET", "2.0/mlflow/users/list")["users"]
    has = {user["username"]: {role["name"] for role in user["roles"]} for user in users}
    ids = {role["name"]: role["id"] for role in ask("GET", "3.0/mlflow/roles/list")["roles"]}
    for login, wanted in roles.items():
        for name in sorted({*wanted} - has[login]):
            if name not in ids:
                made = {"name": name, "workspace": _WORKSPACE}
                ids[name] = ask("POST", "3.0/mlflow/roles/create", made)["role"]["id"]
            ask("POST", "3.0/mlflow/roles/assign", {"username": login, "role_id": ids[name]})


def _call(
    port: int,
    passwords: Mapping[str, str],
    login: str,
    method: str,
    path: str,
    body: Mapping[str, Any] | None = None,
) -> tuple[int, dict[str, object]]:
    secret = base64.b64encode(f"{login}:{passwords[login]}".encode()).decode()
    headers = {"Authorization": f"Basic {secret}", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_TIMEOUT_S)
    try:
        connection.request(method, f"/api/{path}", json.dumps(body) if body else None, headers)
        response = connection.getresponse()
        text = response.read().decode(errors="replace")
    finally:
        connection.close()
    is_json = response.headers.get_content_type() == "application/json"
    answer = json.loads(text) if is_json else {"message": text.strip()}
    return response.status, answer
