"""What the tests share: one embedded stack per session, on free ports, with the real data on it.

`s3` starts only S3 (a second); `stack` starts MLflow too. Tests that use the stack run in one worker,
so that it is started once; two test sessions side by side never meet.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
import requests
from commands import REPOSITORY, As, run_in_process
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

import deploy
from storage import S3Settings, Store

if TYPE_CHECKING:
    from collections.abc import Iterator

# What tests set is seen by Python alone: the threads of deltalake read the process's own environment at any
# moment, and the C library frees what they read when a name is added, as pytest itself does for each test.
# So a process that a test starts is given `env=`.
os.environ = cast("os._Environ[str]", dict(os.environ))  # noqa: B003  # on purpose
# As every command does. On a full disk, where no bar can be written, tqdm keeps the lock that all bars share.
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"

# How long an example takes says how busy the machine is, and nothing of the code.
settings.register_profile("greenroom", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("greenroom")

# These use the session's stack. All of them go to one worker, so that it is started once; every other
# file stays whole, because its fixtures start stacks of its own.
ON_THE_STACK = (
    "tests/batch_jobs/",
    "tests/projects/",
    "tests/registry/",
    "tests/serving/test_comparing_recorded",
    "tests/serving/test_monitored_live",
    "tests/serving/test_three_doors",
    "tests/test_readme",
)


# These have servers of their own, one for all files of a line; or need the stack, but nothing that others
# put on it, so that a worker that is done with the rest can take them.
WITH_THEIR_OWN_SERVER = (
    ("tests/batch_jobs/test_batch_bad_input",),
    ("tests/batch_jobs/test_batch_parts",),
    ("tests/batch_jobs/test_batch_record",),
    ("tests/batch_jobs/test_batch_repairs",),
    ("tests/registry/test_review_pages",),
    ("tests/registry/test_review_", "tests/serving/test_following"),
    ("tests/serving/test_bit_equality", "tests/serving/test_http_"),
    ("tests/projects/test_new_project",),
    ("tests/projects/test_quality",),
    ("tests/projects/test_servability",),
    ("tests/projects/test_tuning",),
)


# Begun first, so that no worker is left with minutes of them at the end (where xdist keeps the order).
LONGEST = (*ON_THE_STACK, "tests/serving/", "tests/deploy/test_demo", "tests/test_team_guide")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        starts = (n for n, start in enumerate(LONGEST) if item.nodeid.startswith(start))
        return next(starts, len(LONGEST))

    items.sort(key=rank)


class OneStack(LoadScopeScheduling):  # type: ignore[misc]  # xdist ships no types
    """Spreads tests over workers by file, and all that share a server as one."""

    def _split_scope(self, nodeid: str) -> str:
        for shared in WITH_THEIR_OWN_SERVER:
            if nodeid.startswith(shared):
                return shared[0]
        return "stack" if nodeid.startswith(ON_THE_STACK) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneStack:
    return OneStack(config, log)


@pytest.fixture(autouse=True)
def no_experiment_is_left_chosen() -> Iterator[None]:
    """Or what the next test logs would go to an experiment of a server that it does not know."""
    yield
    assert "MLFLOW_EXPERIMENT_ID" not in os.environ


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[deploy.Stack]:
    with deploy.running(tmp_path_factory.mktemp("stack") / "state", s3_port=0, mlflow_port=0) as running:
        yield running


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where clean environments are built: once for all workers, as for all validations on one machine."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "shared" / "environments"
    shared.mkdir(parents=True, exist_ok=True)
    return shared


@pytest.fixture(scope="session")
def roles(
    stack: deploy.Stack, tmp_path_factory: pytest.TempPathFactory, environments: Path
) -> dict[str, dict[str, str]]:
    """The environment of each role, for commands in processes of their own."""
    folder = tmp_path_factory.mktemp("cache")
    (folder / "environments").symlink_to(environments)
    cache = str(folder)
    python = str(Path(sys.executable).parent)
    shared = {"GREENROOM_CACHE_DIR": cache, "PATH": f"{python}:{os.environ['PATH']}"}
    return {
        role: {**os.environ, **stack.environment(role), **shared}
        for role in ("admin", "author", "reviewer", "operator")
    }


@pytest.fixture
def author(
    roles: dict[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> As:
    return As(roles["author"], monkeypatch, capsys)


@pytest.fixture
def reviewer(
    roles: dict[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> As:
    return As(roles["reviewer"], monkeypatch, capsys)


@pytest.fixture
def operator(
    roles: dict[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> As:
    return As(roles["operator"], monkeypatch, capsys)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Settings]:
    """S3 alone, with the identity that may do everything; its buckets are `greenroom` and `mlflow`."""
    state = tmp_path_factory.mktemp("s3") / "state"
    with deploy.running(state, s3_port=0, mlflow_port=0, with_mlflow=False) as running:
        yield S3Settings.from_environment(running.environment("admin"))


@pytest.fixture(scope="session")
def store(s3: S3Settings) -> Store:
    return Store.connect(s3)


@pytest.fixture(scope="session")
def delivered(roles: dict[str, dict[str, str]]) -> str:
    """All 336,776 flights of 2013, on the stack's S3; returns what the command said."""
    [said] = _typed(roles, ("author", "python -m projects deliver flight_delay"))
    return said


@pytest.fixture(scope="session")
def in_production(roles: dict[str, dict[str, str]], delivered: str) -> int:
    """A version trained on January to June, validated on July, requested, approved: in Production."""
    assert delivered
    _typed(
        roles,
        ("author", "python -m projects train flight_delay --until 2013-06-30"),
        ("author", "python -m projects validate flight_delay --version 1"),
        ("author", "python -m registry request flight-delay 1 --reason first"),
        ("reviewer", "python -m registry approve flight-delay 1 --reason looked"),
    )
    return 1


@pytest.fixture(scope="session")
def diamonds(roles: dict[str, dict[str, str]]) -> list[str]:
    """The first version of the other project, in Production: what each command on the way said."""
    return _typed(
        roles,
        ("author", "python -m projects deliver diamond_price"),
        ("author", "python -m projects train diamond_price"),
        ("author", "python -m projects validate diamond_price --version 1"),
        ("author", "python -m registry request diamond-price 1 --reason first"),
        ("reviewer", "python -m registry approve diamond-price 1 --reason looked"),
    )


def _typed(roles: dict[str, dict[str, str]], *steps: tuple[str, str]) -> list[str]:
    said = []
    for role, command in steps:
        ran = run_in_process(command, roles[role])
        assert ran.code == 0, f"{command}: {ran.out}{ran.err}"
        said.append(ran.out)
    return said


@pytest.fixture(scope="session")
def endpoint(roles: dict[str, dict[str, str]], in_production: int) -> Iterator[str]:
    """`mlflow models serve` as the README starts it, on a free port."""
    assert in_production
    model = "models:/flight-delay/Production"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["mlflow", "models", "serve", "-m", model, "--env-manager", "local", "--port", str(port)]
    with subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env=roles["operator"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as server:
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_for(url, server)
            yield url
        finally:
            os.killpg(server.pid, signal.SIGTERM)


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert server.poll() is None, "mlflow models serve ended"
        try:
            if requests.get(f"{url}/ping", timeout=1).ok:
                return
        except requests.RequestException:
            time.sleep(0.3)
    raise AssertionError(f"nothing answers at {url}")
