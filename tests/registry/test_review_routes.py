"""Every route of the server, MLflow's and ours, Flask's and FastAPI's: none answers without a login."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from commands import REPOSITORY
from review_house import EXHAUSTIVE, ONE_ENGINE, House

from deploy import processes
from deploy.service import Service

pytest_plugins = ["review_fixtures"]

# MLflow's own public ones: the state of the server, what it can do, and the files of its pages.
PUBLIC = {
    "/health",
    "/static-files/<path:path>",
    "/api/3.0/mlflow/server-info",
    "/ajax-api/3.0/mlflow/server-info",
}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
OURS = {
    ("/api/2.0/greenroom/decisions", "POST"),
    ("/api/2.0/greenroom/validations", "POST"),
    ("/api/2.0/greenroom/version", "GET"),
    ("/api/2.0/greenroom/requests", "GET"),
    ("/api/2.0/greenroom/exposures", "GET"),
    ("/api/2.0/greenroom/ledger", "GET"),
    ("/api/2.0/greenroom/rules", "GET"),
    ("/api/2.0/greenroom/changes", "GET"),
}


@pytest.fixture(scope="module")
def served(sqlite_house: House) -> list[tuple[str, list[str]]]:
    """All routes, from an app made as the workers make theirs."""
    marker = Service.MLFLOW.marker(sqlite_house.server.folder)
    environments = [
        dict(
            entry.split("=", 1)
            for entry in Path(f"/proc/{process.pid}/environ").read_text().split("\0")
            if "=" in entry
        )
        for process in processes.find(marker)
    ]
    worker = next(env for env in environments if "_MLFLOW_SERVER_REGISTRY_STORE" in env)
    del worker["GREENROOM_SERVICE"]
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("served_routes.py"))],
        env={**worker, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [(path, methods) for path, methods in json.loads(done.stdout.splitlines()[-1])]


def filled(path: str) -> str:
    """Put something where a route takes a parameter."""
    return re.sub(r"<[^>]+>|\{[^}]+\}", "1", path)


def test_the_list_is_whole(served: list[tuple[str, list[str]]]) -> None:
    paths = {path for path, _ in served}
    assert len(paths) > 300
    assert paths >= PUBLIC
    registered = {(path, method) for path, methods in served for method in methods}
    assert registered >= OURS
    # Flask's and FastAPI's.
    assert "/api/2.0/mlflow/model-versions/transition-stage" in paths
    assert any("{" in path for path in paths)
    assert any(path.startswith("/review") for path in paths)
    assert not any(methods == ["WEBSOCKET"] for _, methods in served)


def test_no_route_answers_without_a_login(sqlite_house: House, served: list[tuple[str, list[str]]]) -> None:
    pairs = {(method, path) for path, methods in served for method in {"GET", "POST", *methods}}
    if EXHAUSTIVE:
        pairs |= {(method, path) for path, _ in served for method in METHODS}
    asked = sorted(pair for pair in pairs if pair[1] not in PUBLIC)
    port = urlsplit(sqlite_house.server.url).port

    def ask(method: str, path: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request(method, filled(path), headers={"Connection": "close"})
            return connection.getresponse().status
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda one: ask(*one), asked)
        open_to_all = [(*one, status) for one, status in zip(asked, answers, strict=True) if status != 401]
    assert open_to_all == []


@pytest.mark.parametrize("path", sorted(PUBLIC))
def test_what_is_public_says_nothing_of_models(sqlite_house: House, path: str) -> None:
    answer = sqlite_house.call(None, "GET", filled(path))
    assert answer.status_code in {200, 404}
    assert len(answer.content) < 2000
    assert "sqlite" not in answer.text


@ONE_ENGINE
@pytest.mark.parametrize(
    "path",
    [
        "/health/../review",
        "/health/..%2freview",
        "/static-files/../review",
        "/static-files/..%2f..%2freview",
        "/healthy",
        "/static/../api/2.0/greenroom/ledger",
        "//review",
        "/review/",
        "/REVIEW",
        "/review%00",
        "/;/review",
        "/api/2.0/greenroom/ledger/",
        "//api/2.0/greenroom/ledger",
        "/api//2.0/greenroom/ledger",
        "/api/2.0/greenroom/ledger?/mlflow/server-info",
        "/api/2.0/greenroom/ledger/mlflow/server-info",
        "/api/2.0/greenroom/ledger;/mlflow/server-info",
        "/ajax-api/2.0/greenroom/ledger",
        "/static-files/../../../../../../etc/passwd",
    ],
)
def test_no_way_around_the_login(house: House, path: str) -> None:
    status, said = house.raw(None, "GET", path)
    assert status in {301, 307, 308, 400, 401, 404}, said[:200]
    assert "previous" not in said
    assert "root:" not in said


@pytest.mark.parametrize(("path", "method"), sorted(OURS))
def test_our_routes_know_the_caller(house: House, path: str, method: str) -> None:
    assert house.call(None, method, path).status_code == 401
    answer = house.call("olaf", method, path)
    if path.endswith(("rules", "ledger", "requests", "exposures", "changes")):
        assert answer.status_code == 200
    else:
        assert answer.status_code == 400
        assert answer.json()["error_code"] == "INVALID_PARAMETER_VALUE"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "expected a JSON object"),
        (b"{", "expected a JSON object"),
        (b"[]", "expected a JSON object"),
        (b"null", "expected a JSON object"),
        (b'{"action": "\xff"}', "expected a JSON object"),
        (b'{"action": ' + b"[" * 5000 + b"]" * 5000 + b"}", "expected"),
        (b'{"action": "approve", "version": ' + b"9" * 5000 + b"}", "expected"),
        (b'{"action": "delete"}', "name is None"),
        (b'{"action": "delete", "name": "x"}', "action is 'delete', expected one of"),
        (b'{"action": "approve", "name": "x\\u0000"}', "expected printable characters"),
        (b'{"action": "approve", "name": "x\\ud800"}', "expected printable characters"),
        (b'{"action": "approve", "name": ""}', "expected printable characters"),
        (b'{"action": "Approve", "name": "x"}', "action is 'Approve'"),
        (b'{"action": ["approve"], "name": "x"}', "action is ['approve']"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_body_that_is_no_decision(house: House, body: bytes, said: str) -> None:
    headers = {"Content-Type": "application/json"}
    answer = house.call("rita", "POST", "/api/2.0/greenroom/decisions", data=body, headers=headers)
    assert answer.status_code == 400, answer.text[:300]
    assert said in answer.json()["message"]
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("version", [0, -1, 2**31, 2**63, "1", 1.0, True, None, [1]])
def test_a_version_that_is_no_number(house: House, shown: str, version: object) -> None:
    said = {"action": "approve", "name": shown, "version": version, "reason": "so", "attempt": "1"}
    answer = house.call("rita", "POST", "/api/2.0/greenroom/decisions", json=said)
    assert answer.status_code == 400, answer.text[:300]
    assert "expected a whole number from 1" in answer.json()["message"]


@ONE_ENGINE
@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "text/json"])
def test_what_another_site_could_send(house: House, shown: str, content_type: str) -> None:
    """A form of another site can send a body with the visitor's login, but not of this type."""
    body = json.dumps({"action": "approve", "name": shown, "version": 2, "reason": "so", "attempt": "1"})
    headers = {"Content-Type": content_type, "Origin": "http://evil.example"}
    answer = house.call("rita", "POST", "/api/2.0/greenroom/decisions", data=body, headers=headers)
    assert answer.status_code in {400, 403}, answer.text[:300]


@pytest.mark.parametrize(
    "reason",
    ["", " ", "\t", "a\nb", "a\0b", "\x1b[31m", "\ud800", "x" * 1001, "x" * 100_000, "x" * 100_001, "\u202e"],
    ids=lambda reason: f"{len(reason)} {reason[:4]!r}",
)
def test_a_reason_that_says_nothing(house: House, shown: str, reason: str) -> None:
    body = {"action": "reject", "name": shown, "version": 2, "reason": reason, "attempt": "1"}
    headers = {"Content-Type": "application/json"}
    sent = json.dumps(body).encode()
    answer = house.call("rita", "POST", "/api/2.0/greenroom/decisions", data=sent, headers=headers)
    assert answer.status_code == 400, answer.text[:300]
    assert "eason" in answer.json()["message"]


def test_a_reason_with_markup_stays_as_it_is(house: House, model: str) -> None:
    house.staged(model)
    reason = "<script>alert(1)</script> & 'quotes' \"too\" {{7*7}} %s ; DROP TABLE runs; -- été 日本 😀"
    body = {"action": "reject", "name": model, "version": 1, "reason": reason, "attempt": "markup " + model}
    answer = house.call("rita", "POST", "/api/2.0/greenroom/decisions", json=body)
    assert answer.status_code == 200, answer.text
    assert house.newest_lines(model)[1].reason == reason
