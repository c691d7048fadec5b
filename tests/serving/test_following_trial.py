"""The trial: an artifact is loaded and asked in a process that may die, and every end of it is a sentence."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow.models import Model
from tiny_versions import FEATURES, booster

from projects.artifact import save_model
from serving.following.trial import try_artifact

WHAT = "tiny version 1"


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logged") / "model"
    # What is missing is written as NaN, in a column of words too.
    example = pd.DataFrame({"carrier": [None, "UA"], "distance": [1 / 3, np.nan]})
    save_model(str(folder), Model(), booster(), FEATURES, example)
    return folder


@pytest.fixture
def folder(logged: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(logged, tmp_path / "model"))


def tried(folder: Path, kind: str = "xgboost", timeout_s: float = 60) -> str | None:
    return try_artifact(folder, WHAT, kind, os.environ, timeout_s)


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = yaml.safe_load((folder / "MLmodel").read_text())
    change(content)
    (folder / "MLmodel").write_text(yaml.safe_dump(content))


def test_what_answers_as_recorded_may_be_served(folder: Path) -> None:
    assert tried(folder) is None


def test_one_bit_of_a_recorded_answer_is_seen(folder: Path) -> None:
    def nudge(content: dict[str, Any]) -> None:
        recorded = content["metadata"]["example_predictions"]
        recorded[1] = float(np.nextafter(np.float32(recorded[1]), np.float32(2)))

    edit(folder, nudge)
    said = tried(folder)
    assert said is not None
    assert said.startswith(f"{WHAT} does not answer its example as it did when it was logged: row 1 gives 0.")


def test_an_artifact_from_before_answers_were_recorded_is_only_asked(folder: Path) -> None:
    edit(folder, lambda content: content.pop("metadata"))
    assert tried(folder) is None


def test_answers_without_an_example_are_not_believed(folder: Path) -> None:
    (folder / "input_example.json").unlink()
    assert tried(folder) == (
        f"{WHAT} answers its example with the shape None; recorded were answers of the shape (2,)"
    )


def test_bytes_that_are_no_booster(folder: Path) -> None:
    (folder / "model.ubj").write_bytes(b"\x00garbage" * 100)
    said = tried(folder)
    assert said is not None
    assert said.startswith(f"{WHAT} ")
    assert "\n" not in said


def test_a_booster_of_another_time(folder: Path) -> None:
    """One that names an objective that this XGBoost does not know, as a newer one could."""
    path = folder / "model.ubj"
    path.write_bytes(path.read_bytes().replace(b"binary:logistic", b"binary:logiztic"))
    said = tried(folder)
    assert said is not None
    assert said.startswith(f"{WHAT} was written by XGBoost ")
    assert "cannot be read by XGBoost" in said


def test_what_takes_too_long_is_ended(folder: Path) -> None:
    assert tried(folder, timeout_s=0.01) == f"{WHAT} did not load and answer its example within 0.01 s"


DYING = """
import os
def _load_pyfunc(path):
    # What XGBoost does with some bytes: no exception, and no goodbye.
    os.kill(os.getpid(), 11)
"""


def test_a_process_that_dies_is_a_no(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code/dying.py").write_text(DYING)
    flavor = {"python_function": {"loader_module": "dying", "code": "code"}}
    (tmp_path / "MLmodel").write_text(yaml.safe_dump({"flavors": flavor}))
    said = tried(tmp_path, "pyfunc")
    assert said is not None
    assert said.startswith(f"{WHAT} could not be tried: the process that loaded it was killed by SIGSEGV: ")


def test_mlflow_gives_the_recorded_answers_too(folder: Path) -> None:
    assert tried(folder, "pyfunc") is None
