"""`make` as a newcomer types it: the demo, killed half-way and begun again, and what comes after it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from unittest import mock

import pytest
from commands import REPOSITORY, run_command, run_in_process

import deploy
import registry
from deploy import processes
from storage import S3Settings, Store


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, environments: Path) -> Iterator[dict[str, str]]:
    """A state folder and ports of its own; otherwise what a new shell has.

    The clean environment that validation serves in is the one of all tests: it takes a minute to build.
    """
    folder = tmp_path_factory.mktemp("demo")
    (folder / "cache").mkdir()
    (folder / "cache" / "environments").symlink_to(environments)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "MLFLOW_", "GREENROOM_"))}
    environment = {
        **inherited,
        "GREENROOM_STATE_DIR": str(folder / "state"),
        "GREENROOM_CACHE_DIR": str(folder / "cache"),
        "GREENROOM_S3_PORT": "0",
        "GREENROOM_MLFLOW_PORT": "0",
    }
    yield environment
    make("down", environment)


def make(target: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return run_command(["make", "-s", *target.split()], environment)


def wait_for_the_first_delivery(state_dir: Path, demo: subprocess.Popen[str]) -> None:
    author = S3Settings.from_environment(deploy.load(state_dir).environment("author"))
    store = Store.connect(author)
    while not store.snapshot("s3://greenroom/flight_delay/features").objects:
        assert demo.poll() is None, "the demo ended before it had delivered anything"
        time.sleep(0.1)


def test_the_demo_killed_half_way_can_be_begun_again(environment: dict[str, str]) -> None:
    killed = subprocess.Popen(
        ["make", "demo"],
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert killed.stdout is not None
    assert any("projects deliver" in line for line in killed.stdout)
    wait_for_the_first_delivery(Path(environment["GREENROOM_STATE_DIR"]), killed)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.stdout.close()
    killed.wait()

    ran = make("demo", environment)  # make demo
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr
    said = ran.stdout
    assert re.search(r"^author\$ mlflow run \. .* -P until=2013-06-30$", said, re.MULTILINE)
    table = said[said.index("what happened") :]
    for line in (
        r"deliver +author +Delivered 336,776 rows, 2013-01-01 to 2013-12-31",
        r"validate +author +validation passed auc is 0\.7",
        r"approve +reviewer +flight-delay version \d+ is in Production",
        r"score +operator +2013-07-02: 945 rows = 903 scored \+ 42 quarantined",
        r"compare +operator +966 rows of 2013-07-01 answered bit for bit as the batch job wrote them",
        r"score +operator +2013-10-01: 965 rows = .* by flight-delay version \d+",
        r"compare +operator +965 rows of 2013-10-01 answered bit for bit .* \(flight-delay version \d+\)",
        r"roll back +reviewer +flight-delay version \d+ is in Production again",
    ):
        assert re.search(line, table), f"{line} is not in\n{table}"
    assert "The stack is still up" in table


def test_what_the_demo_left_is_there_after_down_and_up(environment: dict[str, str], tmp_path: Path) -> None:
    state_dir = Path(environment["GREENROOM_STATE_DIR"])
    before = deploy.load(state_dir)
    assert make("down", environment).stdout == "MLflow stopped.\nS3 stopped.\n"  # make down
    assert make("up", environment).stdout.count("  started") == 2  # make up
    # The addresses stay, so what `env` printed before still holds.
    assert deploy.load(state_dir) == before
    # eval "$(make -s env ROLE=author)", then the same as reviewer and operator:
    for prepare in (
        'eval "$(make -s env ROLE=author)"',
        'eval "$(make -s env ROLE=reviewer)"',
        'eval "$(make -s env ROLE=operator)"',
    ):
        shell = run_command(["bash", "-c", f"{prepare} && env -0"], environment)
        assert shell.returncode == 0, shell.stderr
        exported = dict(line.split("=", 1) for line in shell.stdout.split("\0") if line)
        assert f"ROLE={exported['MLFLOW_TRACKING_USERNAME']}" in prepare
        ran = run_in_process("python -m registry list flight-delay", exported)
        assert ran.code == 0, ran.err
        assert "Production" in ran.out
        # The artifact is whole, too: every file of it is held against its manifest.
        with mock.patch.dict(os.environ, exported):
            at = registry.connect({**exported, "GREENROOM_CACHE_DIR": str(tmp_path / "cache")})
            assert (registry.fetch(at, registry.find_version(at, "flight-delay", 1)) / "MLmodel").exists()


def test_help_lists_every_target(environment: dict[str, str]) -> None:
    listed = make("help", environment).stdout  # make help
    for target in ("demo", "test", "test-exhaustive", "check", "up", "down", "env", "clean-state", "lock"):
        assert re.search(rf"^{target} +\S", listed, re.MULTILINE), target


def test_clean_state_forgets_the_data(environment: dict[str, str]) -> None:
    state_dir = environment["GREENROOM_STATE_DIR"]
    assert all(processes.find(f"{service}:{state_dir}") for service in ("s3", "mlflow"))
    assert make("clean-state", environment).returncode == 0  # make clean-state
    assert not any(processes.find(f"{service}:{state_dir}") for service in ("s3", "mlflow"))
    assert not Path(state_dir).exists()
    ran = make("env ROLE=author", environment)
    assert ran.returncode != 0
    assert "make up" in ran.stderr or "deploy up" in ran.stderr
