"""S3 and MLflow together, on one stack: started by hand, used by every role, killed, stopped."""

import base64
import json
import os
import shlex
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from boto3.session import Session
from botocore.exceptions import ClientError
from deploy_command import environment, run

import deploy
from deploy import Role, Stack, processes

_LOG_RUN = """
import mlflow, pathlib, sys
mlflow.set_experiment("flights")
with mlflow.start_run() as run:
    mlflow.log_param("depth", 6)
    pathlib.Path("report.txt").write_text("on time")
    mlflow.log_artifact("report.txt")
text = mlflow.artifacts.load_text(run.info.artifact_uri + "/report.txt")
print(run.info.run_id, run.info.artifact_uri, text, sep="|")
"""


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("deploy") / "state of mine"
    started = run(path, "up")
    try:
        assert started.returncode == 0, started.stderr
        assert "MLflow  http://127.0.0.1:" in started.stdout
        assert started.stdout.count("  started") == 2
        yield path
    finally:
        deploy.down(path)


@pytest.fixture(scope="module")
def stack(state_dir: Path) -> Stack:
    return deploy.load(state_dir)


@pytest.fixture(scope="module")
def run_id(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Log a run as the author, with an artifact that went to S3 through the server."""
    logged = subprocess.run(
        [sys.executable, "-c", _LOG_RUN],
        cwd=tmp_path_factory.mktemp("author"),
        env={
            # The author has no other S3 keys than those for the data.
            **{k: v for k, v in os.environ.items() if not k.startswith("AWS_")},
            **stack.environment(Role.AUTHOR),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert logged.returncode == 0, logged.stderr
    run_id, artifact_uri, text = logged.stdout.strip().splitlines()[-1].split("|")
    assert artifact_uri.startswith("mlflow-artifacts:/")
    assert text == "on time"
    return run_id


def _s3(stack: Stack, role: Role) -> Any:
    variables = stack.environment(role)
    session = Session(
        variables["AWS_ACCESS_KEY_ID"],
        variables["AWS_SECRET_ACCESS_KEY"],
        region_name=variables["AWS_REGION"],
    )
    return session.client("s3", endpoint_url=variables["AWS_ENDPOINT_URL_S3"])


def _as_role(stack: Stack, role: Role, path: str, **query: str) -> Any:
    login = (str(role), stack.environment(role)["MLFLOW_TRACKING_PASSWORD"])
    answer = requests.get(f"{stack.mlflow_uri}/api/2.0/{path}", params=query, auth=login, timeout=30)
    answer.raise_for_status()
    return answer


def _check_survived(stack: Stack, run_id: str) -> None:
    run_info = _as_role(stack, Role.REVIEWER, "mlflow/runs/get", run_id=run_id).json()["run"]
    assert run_info["data"]["params"] == [{"key": "depth", "value": "6"}]
    path = run_info["info"]["artifact_uri"].removeprefix("mlflow-artifacts:/")
    text = _as_role(stack, Role.OPERATOR, f"mlflow-artifacts/artifacts/{path}/report.txt").text
    assert text == "on time"


def test_a_second_up_says_that_it_runs(state_dir: Path) -> None:
    again = run(state_dir, "up")
    assert again.returncode == 0
    assert again.stdout.startswith("The stack is already running.\n")
    assert "started" not in again.stdout


def test_up_refuses_to_move_what_runs(state_dir: Path) -> None:
    moved = run(state_dir, "up", settings={"GREENROOM_S3_PORT": "18", "GREENROOM_MLFLOW_PORT": "0"})
    assert moved.returncode == 1
    assert "already runs on port" in moved.stderr
    assert "GREENROOM_S3_PORT now asks for 18: run `python -m deploy down` first" in moved.stderr


def test_status(state_dir: Path, stack: Stack) -> None:
    for_people = run(state_dir, "status")
    assert for_people.returncode == 0
    assert f"S3      running        {stack.s3_endpoint}  pid " in for_people.stdout
    s3, mlflow = json.loads(run(state_dir, "status", "--json").stdout)
    assert (s3["service"], s3["state"], s3["address"]) == ("s3", "running", stack.s3_endpoint)
    assert (mlflow["state"], mlflow["address"]) == ("running", stack.mlflow_uri)


def test_env_is_for_a_shell(state_dir: Path, stack: Stack) -> None:
    printed = run(state_dir, "env", "--role", "reviewer")
    assert printed.returncode == 0
    lines = [shlex.split(line) for line in printed.stdout.splitlines()]
    assert all(words[0] == "export" and len(words) == 2 for words in lines)
    variables = dict(words[1].split("=", 1) for words in lines)
    assert variables == stack.environment("reviewer", environ=environment(state_dir))
    assert variables["MLFLOW_TRACKING_USERNAME"] == "reviewer"
    assert variables["GREENROOM_DATA"] == "s3://greenroom"
    assert variables["PATH"].startswith(str(Path(sys.executable).parent))


def test_each_role_has_its_own_login(stack: Stack) -> None:
    passwords = {stack.environment(role)["MLFLOW_TRACKING_PASSWORD"] for role in Role}
    assert len(passwords) == len(Role)
    for role in Role:
        user = _as_role(stack, role, "mlflow/users/current").json()["user"]
        assert (user["username"], user["is_admin"]) == (role, role is Role.ADMIN)
    wrong = requests.get(
        f"{stack.mlflow_uri}/api/2.0/mlflow/users/current", auth=("author", "wrong"), timeout=30
    )
    assert wrong.status_code == 401


def test_the_reviewer_reads_data_and_cannot_write_it(stack: Stack) -> None:
    author, reviewer = _s3(stack, Role.AUTHOR), _s3(stack, Role.REVIEWER)
    version = author.put_object(Bucket="greenroom", Key="day/1", Body=b"a")["VersionId"]
    author.put_object(Bucket="greenroom", Key="day/1", Body=b"b")
    assert reviewer.get_object(Bucket="greenroom", Key="day/1")["Body"].read() == b"b"
    old = reviewer.get_object(Bucket="greenroom", Key="day/1", VersionId=version)
    assert old["Body"].read() == b"a"
    with pytest.raises(ClientError, match="AccessDenied"):
        reviewer.put_object(Bucket="greenroom", Key="day/1", Body=b"c")
    with pytest.raises(ClientError, match="AccessDenied"):
        reviewer.delete_object(Bucket="greenroom", Key="day/1")


def test_artifacts_are_reached_through_the_server_only(stack: Stack, run_id: str) -> None:
    for role in (Role.AUTHOR, Role.REVIEWER, Role.OPERATOR):
        with pytest.raises(ClientError, match="AccessDenied"):
            _s3(stack, role).list_objects_v2(Bucket="mlflow")
    admin = _s3(stack, Role.ADMIN)
    keys = [item["Key"] for item in admin.list_objects_v2(Bucket="mlflow")["Contents"]]
    assert any(key.endswith(f"{run_id}/artifacts/report.txt") for key in keys)
    assert admin.get_bucket_versioning(Bucket="mlflow")["Status"] == "Enabled"


def test_secrets_are_for_the_owner_only(state_dir: Path) -> None:
    assert stat.S_IMODE(state_dir.stat().st_mode) == 0o700
    for name in ("credentials.json", "stack.json", "auth.ini", "s3.json", "mlflow.db", "auth.db"):
        assert stat.S_IMODE((state_dir / name).stat().st_mode) == 0o600, name
    stack = deploy.load(state_dir)
    assert stack.environment("author")["AWS_SECRET_ACCESS_KEY"] not in repr(stack)


def test_everything_listens_on_loopback(state_dir: Path) -> None:
    record = json.loads((state_dir / "stack.json").read_text())
    tables = [Path("/proc/net", name).read_text().splitlines()[1:] for name in ("tcp", "tcp6")]
    listening = [line.split()[1].split(":") for lines in tables for line in lines if " 0A " in line]
    addresses = {address for address, port in listening if int(port, 16) in record["ports"].values()}
    loopback = base64.b16encode(bytes([1, 0, 0, 127])).decode()
    assert addresses == {loopback}


def test_a_killed_server_is_started_again_with_its_data(state_dir: Path, stack: Stack, run_id: str) -> None:
    head = processes.Process(**json.loads((state_dir / "stack.json").read_text())["processes"]["mlflow"])
    os.kill(head.pid, signal.SIGKILL)
    # On a busy machine it is seconds before the kernel comes to end what was killed.
    deadline = time.monotonic() + 60
    while processes.is_alive(head) and time.monotonic() < deadline:
        time.sleep(0.05)
    # What answers requests is a child of it, which goes on and holds the port.
    assert processes.find(f"mlflow:{state_dir}")
    assert run(state_dir, "status").returncode == 1

    completed = run(state_dir, "up")
    assert completed.returncode == 0, completed.stderr
    assert f"S3      {stack.s3_endpoint}\n" in completed.stdout
    assert f"MLflow  {stack.mlflow_uri}  started\n" in completed.stdout
    _check_survived(stack, run_id)


def test_down_stops_it_once(state_dir: Path) -> None:
    """What comes back with the next `up` is looked at after the demo, where there is more of it."""
    stopped = run(state_dir, "down")
    assert (stopped.returncode, stopped.stdout) == (0, "MLflow stopped.\nS3 stopped.\n")
    assert run(state_dir, "down").stdout == "Nothing is running.\n"
    assert "MLflow  stopped" in run(state_dir, "status").stdout


def test_clean_state_stops_and_forgets_everything(state_dir: Path) -> None:
    deploy.up(state_dir, with_mlflow=False)
    assert processes.find(f"s3:{state_dir}")
    removed = run(state_dir, "clean-state")
    assert (removed.returncode, removed.stdout) == (0, f"Removed {state_dir}.\n")
    assert not state_dir.exists()
    for service in ("s3", "mlflow"):
        assert processes.find(f"{service}:{state_dir}") == []
    assert run(state_dir, "clean-state").stdout == f"Nothing at {state_dir}.\n"
