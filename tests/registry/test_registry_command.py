"""`python -m registry` as people and scripts meet it: what it prints, and what it exits with."""

import json
import os
import re
import socket
import subprocess
import sys
import time

import pytest
from commands import REPOSITORY, As
from tiny_versions import register_tiny, validate_tiny

import registry
from registry import Registry, RegistryError
from registry.__main__ import main

pytest_plugins = ["registry_fixtures"]


def test_help_is_quick_and_has_examples() -> None:
    took_s = []
    for _ in range(3):
        begin = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "registry", "--help"],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=True,
        )
        took_s.append(time.perf_counter() - begin)
    assert "python -m registry rollback flight-delay --reason" in done.stdout
    assert min(took_s) < 0.5


def test_a_version_is_listed_and_shown(at: Registry, model: str, author: As, reviewer: As) -> None:
    version = register_tiny(at, model)
    assert version.digest
    listed = reviewer(main, "list", model)
    assert (listed.code, listed.err) == (0, "")
    header, row = listed.out.splitlines()
    assert header.split() == ["model", "version", "stage", "author", "registered", "(UTC)", "digest"]
    assert re.fullmatch(
        rf"{model} +1 +None +author +\d{{4}}-\d\d-\d\d \d\d:\d\d +{version.digest[:12]}", row.strip()
    )

    (plain,) = json.loads(reviewer(main, "list", model, "--json").out)
    assert plain == {
        "name": model,
        "version": 1,
        "stage": "None",
        "author": "author",
        "run_id": version.run_id,
        "created_at": version.created_at.isoformat(),
        "digest": version.digest,
    }
    everything = json.loads(reviewer(main, "list", "--json").out)
    assert plain in everything

    shown = reviewer(main, "show", model, "1")
    assert shown.code == 0
    said = [re.sub(r"\s+", " ", line).strip() for line in shown.out.splitlines()]
    assert said[0] == f"{model} version 1"
    for line in (
        "stage None",
        "author author",
        f"training run {version.run_id}",
        f"digest {version.digest}",
        "validation none",
        "request none",
        "champion none",
        "you may archive",
    ):
        assert line in said
    assert any(re.fullmatch(r"model\.ubj [\d,]+ bytes", line) for line in said)

    validate_tiny(at, version, passed=False)
    shown = reviewer(main, "show", model, "None")
    assert re.search(r"failed, by author, [0-9: -]+, run [0-9a-f]{32}", shown.out)
    assert "auc is 0.5; expected more" in shown.out
    full = json.loads(author(main, "show", model, "1", "--json").out)
    assert {k: full[k] for k in plain} == plain
    assert full["validation"]["passed"] is False
    assert (full["request"], full["approvals"]) == (None, [])


@pytest.mark.parametrize("name", ["no-such-model", "a/b", "$(id)", "a" * 300])
@pytest.mark.parametrize(
    "command",
    [
        ["list", "NAME"],
        ["show", "NAME", "1"],
        ["show", "NAME", "latest"],
        ["request", "NAME", "1", "--reason", "x"],
        ["approve", "NAME", "1", "--reason", "x"],
        ["reject", "NAME", "1", "--reason", "x"],
        ["withdraw", "NAME", "1", "--reason", "x"],
        ["archive", "NAME", "1", "--reason", "x"],
        ["rollback", "NAME", "--reason", "x"],
        ["rollback", "NAME", "--to", "1", "--reason", "x"],
        ["history", "NAME"],
        ["exposures", "NAME"],
        ["end-exposure", "NAME", "1", "--reason", "x"],
    ],
    ids=" ".join,
)
def test_a_model_that_is_not_there(author: As, command: list[str], name: str) -> None:
    done = author(main, *(word.replace("NAME", name) for word in command))
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("registry: ")
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize("version", ["-1", "latest", "1.0", "²", "9" * 5000])
def test_a_version_that_is_no_number(author: As, version: str) -> None:
    done = author(main, "request", "tiny", version, "--reason", "x")
    assert (done.code, done.out) == (2, "")


def test_nothing_in_production_has_an_exit_code_of_its_own(at: Registry, model: str, operator: As) -> None:
    register_tiny(at, model)
    done = operator(main, "show", model, "Production")
    assert (done.code, done.out) == (4, "")
    assert done.err == (
        f"registry: No version of {model} is in Production. See what there is:"
        f" python -m registry list {model}\n"
    )


def test_a_server_that_is_down_is_said_soon(author: As, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        uri = f"http://127.0.0.1:{server.getsockname()[1]}"
    begin = time.monotonic()
    done = author(main, "list", MLFLOW_TRACKING_URI=uri)
    assert time.monotonic() - begin < 15
    assert (done.code, done.out) == (75, "")
    assert done.err == (
        "registry: Could not list model versions: the MLflow server does not answer. Is it running, and is"
        " MLFLOW_TRACKING_URI right? Then try again\n"
    )


def test_a_wrong_password(author: As) -> None:
    done = author(main, "list", MLFLOW_TRACKING_PASSWORD="wrong")
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "registry: Could not list model versions: MLflow does not accept this login. Check"
        " MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD\n"
    )


def test_no_server_is_named(author: As) -> None:
    done = author(main, "list", MLFLOW_TRACKING_URI="")
    assert (done.code, done.out) == (1, "")
    assert "MLFLOW_TRACKING_URI is not set, so there is no registry to ask" in done.err


def test_a_server_that_is_no_server(author: As) -> None:
    done = author(main, "list", MLFLOW_TRACKING_URI="nonsense://me:hunter2@x")
    assert (done.code, done.out) == (1, "")
    assert "MLFLOW_TRACKING_URI is 'nonsense://***@x', expected the address of an MLflow server" in done.err
    assert "hunter2" not in done.err


def test_the_user_is_the_login(roles: dict[str, dict[str, str]]) -> None:
    assert registry.connect(roles["reviewer"]).user == "reviewer"
    nobody = {k: v for k, v in roles["reviewer"].items() if k != "MLFLOW_TRACKING_USERNAME"}
    assert registry.connect(nobody).user == (os.environ.get("LOGNAME") or registry.connect(nobody).user)
    with pytest.raises(RegistryError, match="MLFLOW_TRACKING_URI is not set"):
        registry.connect({})
