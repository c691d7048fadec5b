"""The artifact: exactly these files, nothing pickled, and every door of MLflow opens it."""

import json
import os
import pickletools
from collections.abc import Iterator
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import registry
from projects.artifact import signature_of
from projects.declaration import read_project
from registry import LOADER, ModelVersion
from registry.example import answer_example, check_example
from registry.scorer import read_artifact

FILES = {
    *("MLmodel", "model.ubj", "conda.yaml", "python_env.yaml", "requirements.txt"),
    *("input_example.json", "serving_input_example.json", "code/greenroom_pyfunc.py"),
}


@pytest.fixture(scope="module")
def first(roles: dict[str, dict[str, str]], in_production: int) -> Iterator[ModelVersion]:
    """The version in Production; as long as it is used, we are the author."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in roles["author"].items():
            patch.setenv(name, value)
        yield registry.find_version(registry.connect(os.environ), "flight-delay", in_production)


@pytest.fixture(scope="module")
def folder(first: ModelVersion, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifact, downloaded as any user of MLflow would."""
    import mlflow

    path = tmp_path_factory.mktemp("artifact")
    return Path(mlflow.artifacts.download_artifacts(first.uri, dst_path=str(path)))


@pytest.fixture(scope="module")
def mlmodel(folder: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((folder / "MLmodel").read_text()))


def test_it_holds_exactly_these_files(folder: Path, first: ModelVersion) -> None:
    found = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    # MLflow adds this file when it downloads a registered model.
    assert found - {"registered_model_meta"} == FILES
    assert first.manifest is not None
    assert {file.path for file in first.manifest.files} == FILES


@pytest.mark.parametrize("name", sorted(FILES))
def test_no_file_is_a_pickle(folder: Path, name: str) -> None:
    body = (folder / name).read_bytes()
    assert Path(name).suffix not in {".pkl", ".pickle", ".joblib", ".npy", ".npz", ".pt", ".bin"}
    # Protocol 2 and up; ZIP (numpy, torch); gzip, zlib, xz (joblib).
    magics = (b"\x80", b"PK\x03\x04", b"\x1f\x8b", b"\x78\x9c", b"\x78\x01", b"\xfd7zXZ")
    assert not body.startswith(magics)
    with pytest.raises(ValueError, match=r"pickle|opcode|codec|expected|invalid|int\(\)"):
        list(pickletools.genops(BytesIO(body)))


def test_its_one_file_of_code_is_the_loader_byte_for_byte(folder: Path) -> None:
    assert (folder / "code/greenroom_pyfunc.py").read_bytes() == LOADER.read_bytes()


def test_its_flavors_are_xgboost_and_python_function(mlmodel: dict[str, Any]) -> None:
    assert mlmodel["flavors"].keys() == {"xgboost", "python_function"}
    assert mlmodel["flavors"]["python_function"]["loader_module"] == "greenroom_pyfunc"
    assert mlmodel["flavors"]["python_function"]["code"] == "code"
    assert mlmodel["flavors"]["xgboost"]["data"] == "model.ubj"
    assert mlmodel["flavors"]["xgboost"]["model_format"] == "ubj"


def test_its_signature_is_the_raw_columns(mlmodel: dict[str, Any]) -> None:
    features = read_project("flight_delay").features
    inputs = json.loads(mlmodel["signature"]["inputs"])
    types = {"number": "double", "category": "string"}
    assert [(c["name"], c["type"]) for c in inputs] == [(n, types[kind]) for n, kind in features.items()]
    assert json.loads(mlmodel["signature"]["outputs"]) == [
        {"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1]}}
    ]
    assert signature_of(features).inputs.input_names() == list(features)


def test_its_requirements_are_pinned_to_what_is_installed(folder: Path) -> None:
    lines = (folder / "requirements.txt").read_text().split()
    assert lines == [
        f"{name}=={version(name)}" for name in ("mlflow", "numpy", "pandas", "pyarrow", "xgboost-cpu")
    ]


def test_mlflow_loads_the_booster(folder: Path) -> None:
    import mlflow.xgboost

    booster = mlflow.xgboost.load_model(str(folder))
    assert booster.feature_names == list(read_project("flight_delay").features)
    assert booster.num_boosted_rounds() == read_project("flight_delay").rounds


def test_every_door_answers_with_the_same_bits(folder: Path, first: ModelVersion) -> None:
    import january
    import mlflow.pyfunc

    loaded = mlflow.pyfunc.load_model(str(folder))
    table = january.january().select(list(read_project("flight_delay").features))
    fast = registry.load(registry.connect(os.environ), first).predict(table)
    assert fast.dtype == np.dtype("float32")
    assert fast.shape == (len(table),)
    np.testing.assert_array_equal(loaded.predict(table.to_pandas()), fast)


def test_its_recorded_answers_are_those_of_every_door(folder: Path, mlmodel: dict[str, Any]) -> None:
    """A double for each float32, so that a reader gets the same bits back."""
    import mlflow.pyfunc

    recorded = mlmodel["metadata"]["example_predictions"]
    loaded = mlflow.pyfunc.load_model(str(folder))
    answered = loaded.predict(loaded.input_example)
    assert answered.dtype == np.dtype("float32")
    assert recorded == [float(value) for value in answered]
    assert (np.array(recorded, np.float32).view(np.uint32) == answered.view(np.uint32)).all()
    columns, booster = read_artifact(folder, "the artifact")
    again = answer_example(folder, columns, booster)
    assert again is not None
    assert again.tolist() == recorded
    check_example(folder, "the artifact", answered)


def test_its_example_can_be_scored(folder: Path) -> None:
    import mlflow.pyfunc

    request = json.loads((folder / "serving_input_example.json").read_text())
    assert request.keys() == {"dataframe_split"}
    assert request["dataframe_split"]["columns"] == list(read_project("flight_delay").features)
    loaded = mlflow.pyfunc.load_model(str(folder))
    example = pd.DataFrame(**request["dataframe_split"]).astype(loaded.input_example.dtypes)
    np.testing.assert_array_equal(loaded.predict(example), loaded.predict(loaded.input_example))
    assert len(example) == 5
