"""What needs no MLflow server: S3 alone, the command line, and everything that goes wrong."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from boto3.session import Session
from botocore.exceptions import ClientError
from deploy_command import ANY_PORT, REPOSITORY, environment, run

import deploy
from deploy import (
    CorruptStateError,
    NotStartedError,
    Role,
    ServiceFailedError,
    Settings,
    Stack,
    StateFolderError,
    TransientError,
    processes,
)
from deploy.credentials import Credentials
from deploy.service import Service
from deploy.state import StateFolder


def _put(stack: Stack, key: str, body: bytes, bucket: str = "greenroom") -> None:
    _client(stack).put_object(Bucket=bucket, Key=key, Body=body)


def _client(stack: Stack, role: Role = Role.AUTHOR) -> Any:
    key = stack.credentials.s3_keys[role]
    session = Session(key.access_key, key.secret_key, region_name="us-east-1")
    return session.client("s3", endpoint_url=stack.s3_endpoint)


def _get(stack: Stack, key: str) -> bytes:
    body: bytes = _client(stack).get_object(Bucket="greenroom", Key=key)["Body"].read()
    return body


def _pid(state_dir: Path) -> int:
    return int(json.loads((state_dir / "stack.json").read_text())["processes"]["s3"]["pid"])


def test_s3_alone_survives_all_that_happens_to_it(tmp_path: Path) -> None:
    marker = f"s3:{tmp_path}"
    with deploy.running(tmp_path, with_mlflow=False) as stack:
        assert "MLFLOW_TRACKING_URI" not in stack.environment("author")
        with pytest.raises(NotStartedError, match=r"MLflow was never started in .*: run `python"):
            _ = stack.mlflow_uri
        with pytest.raises(ClientError, match="NoSuchBucket"):
            _client(stack, Role.ADMIN).put_object(Bucket="missing", Key="key", Body=b"1")
        _put(stack, "kept", b"1")
        # A stack inside a stack leaves what it found.
        with deploy.running(tmp_path, with_mlflow=False) as same:
            assert not same.started
        assert _get(stack, "kept") == b"1"
    assert processes.find(marker) == []

    with deploy.running(tmp_path, with_mlflow=False) as again:
        assert again.s3_endpoint == stack.s3_endpoint
        assert _get(again, "kept") == b"1"

        [killed] = processes.find(marker)
        os.kill(killed.pid, signal.SIGKILL)
        with ThreadPoolExecutor(2) as two:
            first, second = two.map(lambda _: deploy.up(tmp_path, s3_port=0, with_mlflow=False), range(2))
        assert sorted([len(first.started), len(second.started)]) == [0, 1]
        assert _get(first, "kept") == _get(second, "kept") == b"1"

        # Nobody knows of the process any more, and it holds the port and the data.
        (tmp_path / "stack.json").write_text("{")
        [orphan] = processes.find(marker)
        completed = deploy.up(tmp_path, s3_port=0, with_mlflow=False)
        assert not processes.is_alive(orphan)
        assert [process.pid for process in processes.find(marker)] == [_pid(tmp_path)]
        assert _get(completed, "kept") == b"1"


def test_down_finds_what_runs_though_its_folder_was_removed(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    state_dir = tmp_path / "state"
    request.addfinalizer(lambda: deploy.down(state_dir))
    deploy.up(state_dir, s3_port=0, with_mlflow=False)
    ports = json.loads((state_dir / "stack.json").read_text())["ports"]
    sockets = [
        Path(f"/tmp/seaweedfs-{part}-grpc-{ports[f'{part}.port.grpc']}.sock")
        for part in ("admin", "filer", "master", "s3", "volume")
    ]
    assert any(path.is_socket() for path in sockets)
    shutil.rmtree(state_dir)
    assert run(state_dir, "down").stdout == "S3 stopped.\n"
    assert not any(path.exists() for path in sockets)
    assert processes.find(f"s3:{state_dir}") == []


def test_a_deep_state_folder_is_no_obstacle_to_unix_sockets(tmp_path: Path) -> None:
    state_dir = tmp_path / ("deep" * 30) / "state"
    with deploy.running(state_dir, with_mlflow=False) as stack:
        _put(stack, "key", b"1")
        assert (state_dir / "tmp" / "s3.sock").exists()


def test_an_interrupted_up_leaves_nothing_behind(tmp_path: Path) -> None:
    up = subprocess.Popen(
        [sys.executable, "-m", "deploy", "up"],
        cwd=REPOSITORY,
        env=environment(tmp_path),
        stderr=subprocess.PIPE,
        text=True,
    )
    with up:
        deadline = time.monotonic() + 30
        while not processes.find(f"mlflow:{tmp_path}") and time.monotonic() < deadline:
            time.sleep(0.05)
        up.terminate()
        _, errors = up.communicate(timeout=60)
    assert up.returncode == 130
    assert "interrupted; nothing that this command started was left running" in errors
    for service in ("s3", "mlflow"):
        assert processes.find(f"{service}:{tmp_path}") == []
    assert json.loads((tmp_path / "stack.json").read_text())["processes"] == {}


def test_a_killed_up_is_cleaned_by_down(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "deploy", "up"], cwd=REPOSITORY, env=environment(tmp_path)
    ) as up:
        deadline = time.monotonic() + 30
        while not processes.find(f"s3:{tmp_path}") and time.monotonic() < deadline:
            time.sleep(0.01)
        up.kill()
    assert "S3 stopped." in run(tmp_path, "down").stdout
    for service in ("s3", "mlflow"):
        assert processes.find(f"{service}:{tmp_path}") == []


@pytest.mark.parametrize(
    ("service", "setting"), [("S3", "GREENROOM_S3_PORT"), ("MLflow", "GREENROOM_MLFLOW_PORT")]
)
def test_port_in_use(tmp_path: Path, service: str, setting: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        refused = run(tmp_path, "up", settings={**ANY_PORT, setting: str(port)})
    assert refused.returncode == 1
    name = Path("/proc/self/comm").read_text().strip()
    assert refused.stderr == (
        f"deploy: Port {port}, needed for {service}, is in use by {name} (pid {os.getpid()}): "
        f"stop it, or set {setting} to another port (0 takes a free one).\n"
    )
    assert processes.find(f"s3:{tmp_path}") == []


@pytest.mark.parametrize("port", ["70000", "-1", "http", "5000.0", "٣", "9" * 5000])
def test_a_port_that_is_none(tmp_path: Path, port: str) -> None:
    with pytest.raises(deploy.UsageError, match="expected a port number from 0 to 65535"):
        Settings.from_environ({"GREENROOM_MLFLOW_PORT": port})
    if port == "70000":
        refused = run(tmp_path, "up", settings={"GREENROOM_MLFLOW_PORT": port})
        assert refused.returncode == 2
        assert "GREENROOM_MLFLOW_PORT is '70000'; expected a port number" in refused.stderr


def test_settings_default_to_the_repository() -> None:
    settings = Settings.from_environ({"GREENROOM_STATE_DIR": "", "GREENROOM_S3_PORT": "8400"})
    assert settings == Settings(REPOSITORY / ".greenroom", 8400, None)


def test_commands_before_the_first_up(tmp_path: Path) -> None:
    state_dir = tmp_path / "none"
    missing = run(state_dir, "env", "--role", "author")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr == (
        f"deploy: The stack was never started in {state_dir}: run `python -m deploy up` (or `make up`).\n"
    )
    unknown = run(state_dir, "env", "--role", "boss")
    assert unknown.returncode == 2
    assert "invalid choice: 'boss'" in unknown.stderr
    assert run(state_dir, "down").stdout == "Nothing is running.\n"
    assert run(state_dir, "status").returncode == 1
    assert not state_dir.exists()


def test_a_foreign_folder_is_neither_used_nor_removed(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    used = run(tmp_path, "up")
    assert used.returncode == 1
    assert f"Refused to keep state in {tmp_path}: it is not empty" in used.stderr
    removed = run(tmp_path, "clean-state")
    assert removed.returncode == 1
    assert f"Refused to remove {tmp_path}: the file .greenroom-state" in removed.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]

    file = run(tmp_path / "thesis.txt", "up")
    assert (file.returncode, "to a folder that you may write to" in file.stderr) == (1, True)


@pytest.mark.parametrize("name", ["100%", "what?", "a\nb"])
def test_a_folder_name_that_database_addresses_cannot_hold(tmp_path: Path, name: str) -> None:
    with pytest.raises(StateFolderError, match="expected a path without %, \\? and line breaks"):
        deploy.up(tmp_path / name, s3_port=0, with_mlflow=False)
    assert list(tmp_path.iterdir()) == []


def test_a_proxy_is_not_asked_for_loopback(tmp_path: Path) -> None:
    stack = Stack(tmp_path, {Service.S3: "http://127.0.0.1:1"}, Credentials.generate())
    behind = {"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "intranet"}
    variables = stack.environment("author", environ=behind)
    assert variables["NO_PROXY"] == variables["no_proxy"] == "intranet,127.0.0.1"
    assert "NO_PROXY" not in stack.environment("author", environ={})


def test_damaged_credentials_are_named(tmp_path: Path) -> None:
    StateFolder(tmp_path).create()
    (tmp_path / "credentials.json").write_text('{"mlflow": {}}')
    with pytest.raises(CorruptStateError, match=r"credentials\.json is damaged \(KeyError\)"):
        deploy.up(tmp_path, s3_port=0, with_mlflow=False)


def test_a_service_that_cannot_start_says_why(tmp_path: Path) -> None:
    StateFolder(tmp_path).create()
    (tmp_path / "s3" / "filerldb2").write_text("not a folder")
    with pytest.raises(ServiceFailedError, match=r"S3 ended before it was ready\. The end of"):
        deploy.up(tmp_path, s3_port=0, with_mlflow=False)
    assert processes.find(f"s3:{tmp_path}") == []


def test_one_command_at_a_time(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    folder.create()
    with folder.locked(), pytest.raises(TransientError, match=r"for 0\.2 s: wait for it to end"):
        folder.locked(timeout_s=0.2).__enter__()
    with folder.locked(timeout_s=0.2):
        pass


def test_commands_that_make_the_folder_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as many:
        for number in range(20):
            list(many.map(StateFolder.create, [StateFolder(tmp_path / str(number))] * 8))


def test_a_reused_pid_is_not_ours() -> None:
    own = processes.Process(os.getpid(), "another boot/1")
    assert not processes.is_alive(own)


def test_help_is_quick(tmp_path: Path) -> None:
    took_s = []
    for _ in range(3):
        begin = time.perf_counter()
        helped = run(tmp_path, "--help")
        took_s.append(time.perf_counter() - begin)
        assert helped.returncode == 0
    assert 'eval "$(python -m deploy env --role author)"' in helped.stdout
    assert min(took_s) < 0.5
