"""`mlflow run .`, as its users type it, with each way to build the environment."""

import os
import re
import shutil
from pathlib import Path

import pytest
from commands import run_command
from needs import only_exhaustively

REGISTERED = re.compile(r"Registered flight-delay version (\d+), trained on 2013-01-01 to 2013-06-30")
# As the README says it.
TRAIN = "mlflow run . --env-manager uv --experiment-name flight-delay -P sample=0.1"
EXHAUSTIVE = only_exhaustively("takes minutes")
IN_THE_DEMO = only_exhaustively("the demo trains so, too")
VIRTUALENV = pytest.mark.skipif(
    not (shutil.which("pyenv") and shutil.which("virtualenv")), reason="needs pyenv and virtualenv on PATH"
)


@pytest.mark.parametrize(
    "env_manager",
    [
        pytest.param("local", marks=IN_THE_DEMO),
        "uv",
        pytest.param("virtualenv", marks=[EXHAUSTIVE, VIRTUALENV]),
    ],
)
def test_mlflow_run_trains(
    env_manager: str, roles: dict[str, dict[str, str]], in_production: int, tmp_path: Path
) -> None:
    assert in_production
    environments = tmp_path / "envs"
    command = TRAIN.replace("uv", env_manager).split()
    done = run_command(command, {**roles["author"], "MLFLOW_ENV_ROOT": str(environments)})
    assert done.returncode == 0, done.stderr
    assert REGISTERED.search(done.stdout), done.stdout
    assert "succeeded" in done.stderr
    built = sorted(environments.glob("*/bin/python"))
    assert len(built) == (0 if env_manager == "local" else 1)
    for python in built:
        # The environment is the lock's, and the run was made with it.
        asked = "import mlflow, xgboost, sys; print(sys.prefix)"
        answer = run_command([str(python), "-c", asked], {"PATH": os.environ["PATH"]})
        assert answer.stdout.strip() == str(python.parent.parent)


def test_mlflow_run_validates_and_passes_on_the_verdict(
    roles: dict[str, dict[str, str]], in_production: int
) -> None:
    command = ["mlflow", "run", ".", "--env-manager", "local", "-e", "validate"]
    unknown = run_command([*command, "-P", f"version={in_production + 900}"], roles["author"])
    assert unknown.returncode == 1
    assert f"projects: flight-delay has no version {in_production + 900}." in unknown.stderr


def test_mlflow_run_scores(roles: dict[str, dict[str, str]], in_production: int) -> None:
    assert in_production
    command = ["mlflow", "run", ".", "--env-manager", "local", "-e", "score", "-P", "date=2013-07-21"]
    done = run_command(command, roles["operator"])
    assert done.returncode == 0, done.stderr
    assert "flight_delay 2013-07-21: 929 rows" in done.stdout
