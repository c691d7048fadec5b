"""What was registered is what is loaded: any other byte, in the cache or on the server, is refused."""

import os
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow.xgboost
import numpy as np
import pyarrow as pa
import pytest
import xgboost as xgb
import yaml
from mlflow.models import Model, ModelSignature
from mlflow.types.schema import ColSpec, Schema
from tiny_versions import register_tiny, unregistered

import registry
from deploy import Stack
from registry import ArtifactError, ModelVersion, Registry, RegistryError, Scorer
from storage import S3Settings, Store

pytest_plugins = ["registry_fixtures"]

FILES = [
    "MLmodel",
    "code/greenroom_pyfunc.py",
    "conda.yaml",
    "input_example.json",
    "model.ubj",
    "python_env.yaml",
    "requirements.txt",
    "serving_input_example.json",
]
ROWS = pa.table({"distance": [100.0, None, 2000.0], "carrier": ["AA", "ZZ", None]})


@pytest.fixture
def tiny(at: Registry, model: str) -> ModelVersion:
    return register_tiny(at, model)


@pytest.fixture
def admin(stack: Stack) -> Any:
    """S3 as the admin: who alone could reach the artifacts past the server."""
    return Store.connect(S3Settings.from_environment(stack.environment("admin"))).client


def keys_of(admin: Any, version: ModelVersion) -> dict[str, str]:
    """Give the S3 key of each file of an artifact."""
    model_id = version.source.removeprefix("models:/")
    pages = admin.get_paginator("list_objects_v2").paginate(Bucket="mlflow")
    keys = [item["Key"] for page in pages for item in page.get("Contents", []) if model_id in item["Key"]]
    return {key.split("/artifacts/", 1)[1]: key for key in keys}


def test_the_artifact_holds_these_files_and_no_pickle(at: Registry, tiny: ModelVersion) -> None:
    assert tiny.manifest is not None
    assert [f.path for f in tiny.manifest.files] == FILES
    folder = registry.fetch(at, tiny)
    assert folder == at.cache / "models" / str(tiny.digest)
    present = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    assert [name for name in present if name != "registered_model_meta"] == FILES
    for name in present:
        # A pickle of protocol 2 or later opens so, whatever it is called.
        assert not (folder / name).read_bytes().startswith(b"\x80"), name
        assert not name.endswith((".pkl", ".pickle", ".joblib", ".pyc"))
    assert (folder / "code" / registry.LOADER.name).read_bytes() == registry.LOADER.read_bytes()
    flavors = yaml.safe_load((folder / "MLmodel").read_text())["flavors"]
    assert set(flavors) == {"xgboost", "python_function"}


def test_a_version_is_loaded_and_scores(at: Registry, tiny: ModelVersion) -> None:
    scorer = registry.load(at, f"models:/{tiny.name}/1")
    assert scorer.version.version == 1
    assert [column.name for column in scorer.columns] == ["carrier", "distance"]
    predictions = scorer.predict(ROWS)
    assert predictions.shape == (3,)
    assert predictions.dtype == np.float32
    again = registry.load(at, tiny).predict(ROWS)
    assert again.tobytes() == predictions.tobytes()
    assert [p.name for p in (at.cache / "models").iterdir()] == [tiny.digest]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("change", "the file 'model.ubj' was changed: SHA-256 "),
        ("remove", "the file 'code/greenroom_pyfunc.py' is missing."),
        ("add", "the file 'code/extra.py' was added."),
    ],
)
def test_tampering_in_the_cache_is_named(at: Registry, tiny: ModelVersion, change: str, said: str) -> None:
    folder = registry.fetch(at, tiny)
    if change == "change":
        # Not a booster any more: parsing it would be another error, or a crash.
        (folder / "model.ubj").write_bytes(b"not a booster")
    elif change == "remove":
        (folder / "code" / "greenroom_pyfunc.py").unlink()
    else:
        (folder / "code" / "extra.py").write_text("raise SystemExit")
    with pytest.raises(ArtifactError) as refused:
        registry.load(at, tiny)
    assert str(refused.value).startswith(
        f"{tiny.name} version 1, in the cache {folder}, is not the artifact that was registered: {said}"
    )


def test_other_bytes_on_the_server_are_refused(at: Registry, tiny: ModelVersion, admin: Any) -> None:
    keys = keys_of(admin, tiny)
    assert sorted(keys) == FILES
    body = bytearray(admin.get_object(Bucket="mlflow", Key=keys["model.ubj"])["Body"].read())
    body[len(body) // 2] ^= 1
    admin.put_object(Bucket="mlflow", Key=keys["model.ubj"], Body=bytes(body))
    with pytest.raises(ArtifactError) as refused:
        registry.load(at, tiny)
    assert str(refused.value).startswith(
        f"{tiny.name} version 1 is not the artifact that was registered:"
        " the file 'model.ubj' was changed: SHA-256 "
    )
    # Nothing of it stays.
    assert list((at.cache / "models").iterdir()) == []


def test_a_file_gone_from_the_server_is_named(at: Registry, tiny: ModelVersion, admin: Any) -> None:
    admin.delete_object(Bucket="mlflow", Key=keys_of(admin, tiny)["conda.yaml"])
    with pytest.raises(ArtifactError, match=r"the file 'conda\.yaml' is missing"):
        registry.load(at, tiny)


def test_an_artifact_gone_though_ready(at: Registry, tiny: ModelVersion, admin: Any) -> None:
    for key in keys_of(admin, tiny).values():
        admin.delete_object(Bucket="mlflow", Key=key)
    assert at.client.get_model_version(tiny.name, "1").status == "READY"
    with pytest.raises(ArtifactError) as refused:
        registry.load(at, tiny)
    assert f"{tiny.name} version 1" in str(refused.value)
    assert list((at.cache / "models").iterdir()) == []


def test_a_version_registered_with_mlflows_own_client_has_a_manifest_too(
    at: Registry, tiny: ModelVersion
) -> None:
    model_id = tiny.source.removeprefix("models:/")
    at.client.create_model_version(
        tiny.name, tiny.source, tiny.run_id, model_id=model_id, await_creation_for=0
    )
    second = registry.find_version(at, tiny.name, 2)
    assert (second.digest, second.author) == (tiny.digest, "author")
    assert registry.load(at, second).version == second


def test_a_version_without_an_artifact_is_not_loaded(at: Registry, model: str) -> None:
    run_id = at.client.create_run("0").info.run_id
    at.client.create_registered_model(model)
    at.client.create_model_version(model, f"runs:/{run_id}/model", run_id, await_creation_for=0)
    empty = registry.find_version(at, model, 1)
    assert (empty.manifest, empty.digest) == (None, None)
    with pytest.raises(ArtifactError) as refused:
        registry.load(at, empty)
    assert str(refused.value) == (
        f"{model} version 1 was registered without a manifest, so nobody can say what its artifact"
        " should be. Register it through: mlflow run ."
    )


def test_a_model_of_another_kind_is_loaded_only_where_that_is_allowed(at: Registry, model: str) -> None:
    run_id = at.client.create_run("0").info.run_id
    table = pa.table({"distance": np.linspace(0, 3000, 50)})
    matrix = xgb.QuantileDMatrix(table, label=np.arange(50) > 25)
    columns = Schema([ColSpec("double", "distance")])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own, on newer pandas
        logged = Model.log(
            artifact_path=None,
            name="model",
            flavor=mlflow.xgboost,
            run_id=run_id,
            xgb_model=xgb.train({"objective": "binary:logistic"}, matrix, 2),
            signature=ModelSignature(inputs=columns),
            pip_requirements=[],
        )
        version = registry.register(at, model, logged.model_uri, run_id)
        with pytest.raises(ArtifactError, match="is not an artifact that Greenroom logged"):
            registry.load(at, version)
        scorer = registry.load(replace(at, formats=("xgboost", "pyfunc")), version)
        low, high = scorer.predict(pa.table({"other": ["a", "b"], "distance": [1.0, 2900.0]}))
    assert (low.dtype, low < 0.5 < high) == (np.float32, True)
    assert [(c.name, c.categories) for c in scorer.columns] == [("distance", None)]
    with pytest.raises(RegistryError, match="GREENROOM_ARTIFACT_FORMATS names 'onnx', expected some of"):
        registry.connect({"MLFLOW_TRACKING_URI": at.uri, "GREENROOM_ARTIFACT_FORMATS": "xgboost, onnx"})


def test_features_that_do_not_match_the_signature(at: Registry, model: str) -> None:
    version = register_tiny(at, model, features={"distance": "number", "carrier": "category"})
    with pytest.raises(ArtifactError) as refused:
        registry.load(at, version)
    assert str(refused.value) == (
        f"The signature of {model} version 1 does not match its booster: columns ['distance', 'carrier'],"
        " features ['carrier', 'distance']"
    )


def test_what_greenroom_did_not_log(at: Registry, tiny: ModelVersion, tmp_path: Path) -> None:
    whole = registry.fetch(at, tiny)

    def refusal(change: str) -> str:
        folder = tmp_path / change
        shutil.copytree(whole, folder)
        mlmodel = yaml.safe_load((folder / "MLmodel").read_text())
        match change:
            case "no MLmodel":
                (folder / "MLmodel").unlink()
            case "no loader":
                (folder / "code" / "greenroom_pyfunc.py").unlink()
            case "other loader":
                with (folder / "code" / "greenroom_pyfunc.py").open("a") as loader:
                    loader.write("\n")
            case "no flavor" | "no signature":
                mlmodel.pop({"no flavor": "flavors", "no signature": "signature"}[change])
                (folder / "MLmodel").write_text(yaml.safe_dump(mlmodel))
            case "no booster":
                (folder / "model.ubj").write_bytes(b"{}")
        with pytest.raises(ArtifactError) as refused:
            Scorer.read(folder, unregistered())
        return str(refused.value)

    for change in ("no MLmodel", "no flavor", "no signature", "no loader"):
        assert refusal(change) == (
            "tiny version 1 is not an artifact that Greenroom logged: expected the flavor xgboost, a"
            " signature and code/greenroom_pyfunc.py. Log it through: mlflow run ."
        )
    assert refusal("other loader") == (
        "tiny version 1 holds a code/greenroom_pyfunc.py that is not the loader of this Greenroom; train it"
        " again with this one, or score it with the one that logged it"
    )
    assert "tiny version 1 was written by XGBoost " in refusal("no booster")


def test_the_cache_is_where_the_environment_says(roles: dict[str, dict[str, str]], tmp_path: Path) -> None:
    environment = {k: v for k, v in roles["author"].items() if k != "GREENROOM_CACHE_DIR"}
    home = registry.connect({**environment, "XDG_CACHE_HOME": str(tmp_path)}).cache
    assert home == tmp_path / "greenroom"
    assert registry.connect(roles["author"]).cache == Path(roles["author"]["GREENROOM_CACHE_DIR"])
    assert os.environ.get("GREENROOM_CACHE_DIR") is None or home != Path(os.environ["GREENROOM_CACHE_DIR"])
