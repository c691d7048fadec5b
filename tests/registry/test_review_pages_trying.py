"""The process that scores one row: what it answers, and what happens where it cannot."""

from __future__ import annotations

import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import mlflow
import pytest
import xgboost as xgb
from tiny_versions import FEATURES, booster, example

from projects.artifact import save_model
from registry.server.pages import trying

ROW = {"carrier": "UA", "distance": 600.0}


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artifact") / "model"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own, on newer pandas
        save_model(str(folder), mlflow.models.Model(), booster(), FEATURES, example())
    return folder


@pytest.fixture
def spoiled(artifact: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(artifact, tmp_path / "spoiled"))


def test_it_answers_with_the_shortest_number_that_is_the_prediction(artifact: Path) -> None:
    [answer] = trying.score(artifact, "tiny version 1", ROW)["prediction"]
    assert answer == str(booster_answer(artifact))
    assert len(answer) <= 12


def test_it_leaves_no_half_of_what_it_compiled(artifact: Path) -> None:
    """It may write little, and Python would keep the beginning of a longer file for whoever comes next."""
    compiled = {path: path.stat().st_mtime_ns for path in Path(xgb.__file__).parent.rglob("*.pyc")}
    assert trying.score(artifact, "tiny", ROW)["prediction"]
    assert {p: p.stat().st_mtime_ns for p in Path(xgb.__file__).parent.rglob("*.pyc")} == compiled


def booster_answer(artifact: Path) -> object:
    import pyarrow as pa

    from registry.scorer import encode, read_artifact

    columns, loaded = read_artifact(artifact, "tiny version 1")
    return loaded.inplace_predict(encode(pa.table({"carrier": ["UA"], "distance": [600.0]}), columns))[0]


def test_what_is_missing_or_unknown_is_a_missing_value(artifact: Path) -> None:
    assert trying.score(artifact, "tiny", {}) == trying.score(artifact, "tiny", {"carrier": None, "more": 1})
    assert trying.score(artifact, "tiny", {"carrier": 7})["prediction"]


def test_a_row_of_other_types_is_refused_in_words(artifact: Path) -> None:
    said = trying.score(artifact, "tiny", {"distance": "far"})["problem"]
    assert "far" in said
    assert "double" in said


def test_a_model_that_cannot_be_read_is_said_to_be_so(spoiled: Path) -> None:
    (spoiled / "model.ubj").write_bytes(b"{}")
    said = trying.score(spoiled, "tiny version 1", ROW)["problem"]
    assert said.startswith("tiny version 1 was written by XGBoost")
    (spoiled / "MLmodel").unlink()
    said = trying.score(spoiled, "tiny version 1", ROW)["problem"]
    assert said.startswith("tiny version 1 is not an artifact that Greenroom logged")


def test_a_crash_is_a_sentence(spoiled: Path) -> None:
    (spoiled / "MLmodel").write_text("[")
    said = trying.score(spoiled, "tiny version 1", ROW)["problem"]
    assert said == "It gave no answer: its process ended with exit code 1."


def test_an_answer_that_takes_too_long_is_not_waited_for(artifact: Path) -> None:
    said = trying.score(artifact, "tiny version 1", ROW, timeout_s=0.01)["problem"]
    assert said == "It gave no answer within 0.01 seconds, and was ended."


def test_the_process_is_given_none_of_the_servers_keys() -> None:
    server = {
        "PATH": "/bin",
        "LANG": "C",
        "AWS_SECRET_ACCESS_KEY": "x",
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "y",
    }
    assert trying.environment_of(server) == {"PATH": "/bin", "LANG": "C", "OMP_NUM_THREADS": "1"}


def test_the_process_starts_without_mlflow(artifact: Path) -> None:
    code = (
        f"import sys; from registry.server import try_row; try_row.main([{str(artifact)!r}, 'tiny']);"
        " print(sorted({'mlflow', 'flask', 'sqlalchemy'} & sys.modules.keys()))"
    )
    command = [sys.executable, "-I", "-c", code]
    done = subprocess.run(command, input="{}", capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
