"""A scratch server: logins with their roles, on both engines, killed and started again where it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests
from needs import need_postgresql

from deploy.errors import ServiceFailedError
from deploy.postgresql import create_database, running_postgresql
from deploy.processes import command_of, find
from deploy.scratch_server import ScratchServer, running_server
from deploy.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOGINS: dict[str, tuple[str, ...]] = {"ann": (), "rita": ("reviewer",), "rob": ("reviewer", "validator")}
# The servers of the tests of review are scratch servers too, on both engines.
_ENGINES = ("sqlite", "postgresql") if os.environ.get("GREENROOM_EXHAUSTIVE") else ("sqlite",)


@pytest.fixture(scope="module", params=_ENGINES)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ScratchServer]:
    folder = tmp_path_factory.mktemp("scratch")
    if request.param == "sqlite":
        with running_server(folder, f"sqlite:///{folder}/mlflow.db", stock=True, logins=_LOGINS) as running:
            yield running
        return
    need_postgresql()
    with running_postgresql() as postgres:
        uri = create_database(postgres, "mlflow")
        with running_server(folder, uri, stock=True, logins=_LOGINS) as running:
            yield running


def _get(server: ScratchServer, login: str, path: str, password: str | None = None) -> requests.Response:
    auth = (login, password or server.passwords[login])
    return requests.get(f"{server.url}/api/{path}", auth=auth, timeout=30)


def _roles(server: ScratchServer, login: str) -> list[str]:
    answer: Any = _get(server, login, f"3.0/mlflow/users/roles/list?username={login}").json()
    return sorted(role["name"] for role in answer["roles"])


def test_every_login_has_its_password_and_roles(server: ScratchServer) -> None:
    assert {login: _roles(server, login) for login in _LOGINS} == {
        "ann": [],
        "rita": ["reviewer"],
        "rob": ["reviewer", "validator"],
    }
    assert _get(server, "ann", "2.0/mlflow/users/current", "guess").status_code == 401
    assert server.passwords["ann"] not in repr(server)


def test_a_worker_that_waits_for_its_turn_is_left_alone(server: ScratchServer) -> None:
    marker = Service.MLFLOW.marker(server.folder)
    workers = [process for process in find(marker) if "spawn_main" in " ".join(command_of(process))]
    assert len(workers) == 2
    for worker in workers:
        os.kill(worker.pid, signal.SIGSTOP)
    # Uvicorn's own patience is five seconds.
    time.sleep(7)
    for worker in workers:
        os.kill(worker.pid, signal.SIGCONT)
    assert requests.get(f"{server.url}/health", timeout=30).ok
    assert {*workers} <= {*find(marker)}


def test_a_client_keeps_artifacts_through_the_server(server: ScratchServer, tmp_path: Path) -> None:
    code = (
        "import mlflow\n"
        "with mlflow.start_run() as run: mlflow.log_text('on time', 'report.txt')\n"
        "print(mlflow.artifacts.load_text(run.info.artifact_uri + '/report.txt'), run.info.artifact_uri)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=server.environment("ann"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "on time mlflow-artifacts:/" in done.stdout, done.stderr
    assert len(list((server.folder.path / "artifacts").rglob("report.txt"))) == 1


def test_a_killed_server_comes_back_where_it_was_with_what_it_knew(server: ScratchServer) -> None:
    url = server.url
    server.kill()
    with pytest.raises(requests.ConnectionError):
        _get(server, "ann", "2.0/mlflow/users/current")
    server.start()
    assert server.url == url
    assert _roles(server, "rita") == ["reviewer"]


def test_greenroom_takes_over_what_a_stock_server_left_in_its_folder(server: ScratchServer) -> None:
    made = {"name": "flights"}
    auth = ("ann", server.passwords["ann"])
    url = f"{server.url}/api/2.0/mlflow/registered-models/create"
    assert requests.post(url, json=made, auth=auth, timeout=30).ok
    server.kill()
    logins = {**_LOGINS, "rosa": ("reviewer",)}
    with running_server(server.folder.path, server.database_uri, logins=logins, workers=1) as ours:
        assert ours.passwords["ann"] == server.passwords["ann"]
        assert _get(ours, "ann", "2.0/mlflow/registered-models/get?name=flights").ok
        assert _roles(ours, "rosa") == ["reviewer"]
        ledger = _get(ours, "rosa", "2.0/greenroom/ledger")
        assert ledger.json() == {"lines": []}


def test_a_server_that_cannot_start_says_the_end_of_its_log(tmp_path: Path) -> None:
    variables = {"MLFLOW_AUTH_CONFIG_PATH": str(tmp_path / "none.ini")}
    uri = f"sqlite:///{tmp_path}/state/mlflow.db"
    with (
        pytest.raises(ServiceFailedError, match=r"MLflow ended before it was ready(.|\n)*KeyError: 'mlflow'"),
        running_server(tmp_path / "state", uri, stock=True, logins={}, environment=variables),
    ):
        pass


def test_nothing_is_left_when_the_process_that_started_it_is_killed(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; import time; from deploy.scratch_server import running_server\n"
        f"folder, uri = Path({str(tmp_path)!r}), 'sqlite:///{tmp_path}/mlflow.db'\n"
        "with running_server(folder, uri, stock=True, logins={}, workers=1):\n"
        "    print('up', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "up\n"
        holder.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    marker = f"{Service.MLFLOW}:{tmp_path}"
    while find(marker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not find(marker)
