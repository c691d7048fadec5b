"""A client that has never heard of Greenroom: what is allowed works as ever, the rest is explained."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import mlflow
import mlflow.pyfunc
import pytest
from mlflow.exceptions import MlflowException, RestException
from review_house import ONE_ENGINE, House, logging_to, message_of, new_name
from tiny_versions import booster, example, validate_tiny

import registry
from registry import Act

pytest_plugins = ["review_fixtures"]

PLAIN = "set with MLflow's own client or pages, which take no reason"


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # MLflow's, of stages
        yield


def test_from_training_to_archive_with_nothing_but_mlflow(house: House, model: str) -> None:
    with logging_to(house.at("ann")), mlflow.start_run() as run, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own, on a model without a signature
        mlflow.xgboost.log_model(
            booster(), name="model", registered_model_name=model, model_format="ubj", pip_requirements=[]
        )
    ann, rita = house.client("ann"), house.client("rita")
    version = ann.get_model_version(model, "1")
    assert (version.status, version.user_id, version.run_id) == ("READY", "ann", run.info.run_id)
    assert [int(v.version) for v in ann.search_model_versions(f"name = '{model}'")] == [1]
    assert int(ann.get_latest_versions(model, ["None"])[0].version) == 1
    # It brings MLflow's own loader, which the rules here do not allow on stage.
    validate_tiny(house.at("olaf"), registry.find_version(house.at("olaf"), model, 1))
    with pytest.raises(RestException) as caught:
        ann.transition_model_version_stage(model, "1", "Staging")
    assert "The artifact's format is 'pyfunc', and only xgboost may go on stage (policy.yaml)." in str(
        caught.value
    )
    # An artifact of data alone may.
    house.register(model)
    validate_tiny(house.at("olaf"), registry.find_version(house.at("olaf"), model, 2))
    assert ann.transition_model_version_stage(model, "2", "Staging").current_stage == "Staging"
    live = rita.transition_model_version_stage(model, "2", "Production", archive_existing_versions=True)
    assert (live.current_stage, int(live.version)) == ("Production", 2)
    assert int(ann.get_model_version_by_alias(model, "production").version) == 2
    assert int(ann.get_latest_versions(model, ["Production"])[0].version) == 2
    assert {name: int(v) for name, v in ann.get_registered_model(model).aliases.items()} == {"production": 2}
    assert rita.transition_model_version_stage(model, "2", "Archived").current_stage == "Archived"
    assert ann.transition_model_version_stage(model, "1", "archived").current_stage == "Archived"
    ann.delete_model_version(model, "1")
    ann.delete_registered_model(model)
    assert house.said(model) == [
        ("ann", "registered", "None"),
        ("olaf", "validated", "None"),
        ("ann", "registered", "None"),
        ("olaf", "validated", "None"),
        ("ann", "requested", "Staging"),
        ("rita", "approved", "Staging"),
        ("rita", "promoted", "Production"),
        ("rita", "archived", "Archived"),
        ("ann", "archived", "Archived"),
        ("ann", "deleted", "Archived"),
        ("ann", "deleted", "Archived"),
    ]
    assert {line.reason for line in house.lines() if line.model == model} == {"", PLAIN}


def test_everything_that_is_no_decision(house: House, model: str) -> None:
    client: Any = house.client("ann")
    client.create_registered_model(model, tags={"team": "delays"}, description="first")
    version = house.register(model)
    client.update_registered_model(model, "second")
    client.set_registered_model_tag(model, "team", "ontime")
    client.delete_registered_model_tag(model, "team")
    client.update_model_version(model, "1", "the first version")
    client.set_model_version_tag(model, "1", "note", "fine")
    client.set_model_version_tag(model, "1", "note", "better")
    client.delete_model_version_tag(model, "1", "note")
    client.set_registered_model_alias(model, "champion", "1")
    client.set_registered_model_alias(model, "production-eu", "1")
    assert sorted(client.get_model_version(model, "1").aliases) == ["champion", "production-eu"]
    assert int(client.get_model_version_by_alias(model, "champion").version) == 1
    client.delete_registered_model_alias(model, "champion")
    assert client.search_registered_models(f"name = '{model}'")[0].description == "second"
    found = client.search_model_versions(f"run_id = '{version.run_id}'")
    assert model in {v.name for v in found}
    assert client.get_model_version_download_uri(model, "1").startswith("mlflow-artifacts:/")
    empty = new_name("empty")
    client.create_registered_model(empty)
    client.rename_registered_model(empty, f"{empty}-renamed")
    client.delete_registered_model(f"{empty}-renamed")
    client.copy_model_version(f"models:/{model}/1", f"{model}-copy")
    assert registry.find_version(house.at("ann"), f"{model}-copy", 1).digest == version.digest
    assert house.said(model) == [("ann", "registered", "None")]


@ONE_ENGINE
def test_the_version_is_served_by_mlflow_itself(house: House, model: str, scratch: Path) -> None:
    house.live(model)
    with logging_to(house.at("olaf")):
        for uri in (f"models:/{model}/Production", f"models:/{model}@production", f"models:/{model}/1"):
            folder = mlflow.artifacts.download_artifacts(uri, dst_path=str(scratch / new_name("x")))
            assert (Path(folder) / "MLmodel").is_file()
            answers = mlflow.pyfunc.load_model(folder).predict(example())
            assert len(answers) == 2


@ONE_ENGINE
def test_a_model_given_by_its_run(house: House, model: str) -> None:
    """`runs:/…`, as every tutorial of MLflow registers."""
    with logging_to(house.at("ann")), mlflow.start_run() as run, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own
        mlflow.xgboost.log_model(booster(), name="model", model_format="ubj", pip_requirements=[])
        found = mlflow.register_model(f"runs:/{run.info.run_id}/model", model, await_registration_for=0)
    version = registry.find_version(house.at("ann"), model, int(found.version))
    assert version.manifest is not None
    assert "model.ubj" in {file.path for file in version.manifest.files}
    assert (version.author, version.run_id) == ("ann", run.info.run_id)


def test_a_request_and_an_approval_by_stage(house: House, model: str) -> None:
    version = house.register(model)
    refused = house.mlflow("ann", "POST", "model-versions/transition-stage", **moving(model, 1, "Staging"))
    assert message_of(refused) == (
        f"The request for {model} version 1 is refused: Version 1 was never validated; run: mlflow run ."
        " --env-manager local -e validate -P version=1."
    )
    validate_tiny(house.at("olaf"), version)
    for _ in range(2):
        # Asked again, as a client does that lost the answer: nothing more happens.
        answer = house.mlflow("ann", "POST", "model-versions/transition-stage", **moving(model, 1, "Staging"))
        assert answer.json()["model_version"]["current_stage"] == "Staging"
    refused = house.mlflow("ann", "POST", "model-versions/transition-stage", **moving(model, 1, "Production"))
    assert "ann is the author of version 1; another person must approve." in message_of(refused)
    for _ in range(2):
        move = moving(model, 1, "Production")
        answer = house.mlflow("rob", "POST", "model-versions/transition-stage", **move)
        assert answer.ok, answer.text
        assert answer.json()["model_version"]["current_stage"] == "Production"
    assert [action for _, action, _ in house.said(model)] == [
        "registered",
        "validated",
        "requested",
        "approved",
        "promoted",
    ]


def moving(model: str, version: int, stage: str, *, archive: bool = False) -> dict[str, Any]:
    return {"name": model, "version": str(version), "stage": stage, "archive_existing_versions": archive}


@pytest.mark.parametrize(
    ("stage", "version", "said"),
    [
        ("Production", 3, "It is in None; only what waits in Staging can go to Production."),
        ("None", 1, "From Production it goes to Archived, and nowhere else."),
        ("Staging", 1, "From Production it goes to Archived, and nowhere else."),
        ("None", 4, "From Archived it goes to Archived, and nowhere else."),
        ("Nowhere", 3, "Invalid Model Version stage: Nowhere."),
        ("", 3, "Invalid"),
    ],
)
def test_a_stage_that_cannot_be_set(house: House, shown: str, stage: str, version: int, said: str) -> None:
    move = moving(shown, version, stage)
    answer = house.mlflow("rita", "POST", "model-versions/transition-stage", **move)
    assert said in message_of(answer) or (stage in {"", "None"} and answer.status_code == 400)


def test_a_rollback_takes_a_reason(house: House, model: str) -> None:
    house.live(model)
    house.live(model)
    assert house.stages(model) == {1: "Archived", 2: "Production"}
    answer = house.mlflow(
        "rita", "POST", "model-versions/transition-stage", **moving(model, 1, "Production", archive=True)
    )
    assert "A rollback takes a reason: python -m registry rollback, or the page /review." in message_of(
        answer
    )
    house.decide("rita", Act.ROLLBACK, model, None)
    assert house.stages(model) == {1: "Production", 2: "Archived"}


def test_nothing_that_waits_is_archived_along_the_way(house: House, model: str) -> None:
    house.staged(model)
    house.validated(model)
    answer = house.mlflow(
        "ann", "POST", "model-versions/transition-stage", **moving(model, 2, "Staging", archive=True)
    )
    assert "It would archive what waits for a review" in message_of(answer)
    house.set_stage("ann", model, 2, "Staging")
    assert house.stages(model) == {1: "Staging", 2: "Staging"}
    # Withdrawn by its stage, too.
    assert house.set_stage("ann", model, 2, "None") == "None"


def test_unknown_names_and_numbers(house: House, model: str) -> None:
    house.register(model)
    client = house.client("ann")
    for version in ("2", "0", "-1", "latest", str(2**63), "1.5"):
        with pytest.raises(MlflowException):
            client.transition_model_version_stage(model, version, "Staging")
    with pytest.raises(MlflowException):
        client.get_model_version(model, "2")
    for name in ("", "a/b", "a:b", "x" * 300, "nothing-there"):
        with pytest.raises(MlflowException):
            house.client("admin").transition_model_version_stage(name, "1", "Staging")
    assert house.stages(model) == {1: "None"}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("gs://bucket/model", "this server lacks a package for it"),
        ("http://127.0.0.1:9/latest/meta-data", "cannot use the 'http' scheme"),
        ("ftp://127.0.0.1:9/model", "cannot use the 'ftp' scheme"),
        ("file:///etc", "Invalid model version source"),
        ("/etc", "Invalid model version source"),
        ("mlflow-artifacts://127.0.0.1:9/model", "cannot use the 'mlflow-artifacts' scheme"),
    ],
)
def test_a_source_that_the_server_does_not_read(house: House, model: str, source: str, said: str) -> None:
    """It reads what is registered; nobody sends it anywhere else with that."""
    house.client("ann").create_registered_model(model)
    answer = house.mlflow("ann", "POST", "model-versions/create", name=model, source=source)
    assert said in message_of(answer)
    assert house.stages(model) == {}


# Prompts are MLflow's


def test_prompts_are_left_alone(house: House, model: str) -> None:
    client: Any = house.client("ann")
    before = house.lines()
    client.register_prompt(model, "Hello {{name}}", tags={"greeting": "yes"})
    client.register_prompt(model, "Good day {{name}}")
    client.set_prompt_alias(model, "production", 1)
    client.set_prompt_alias(model, "production", 2)
    client.set_prompt_alias(model, "Production", 1)
    assert client.get_prompt_version_by_alias(model, "production").version == 2
    client.set_prompt_tag(model, "greeting", "no")
    client.set_prompt_version_tag(model, 1, "note", "fine")
    client.delete_prompt_version_tag(model, 1, "note")
    client.delete_prompt_alias(model, "production")
    client.set_prompt_alias(model, "production", 1)
    client.delete_prompt_version(model, 2)
    assert model in {prompt.name for prompt in client.search_prompts()}
    client.delete_prompt(model)
    assert house.sql("SELECT 1 FROM model_versions WHERE name = :m", m=model) == []
    assert house.lines() == before


def test_a_prompt_renamed_and_deleted_with_its_versions(house: House, model: str) -> None:
    client: Any = house.client("ann")
    client.register_prompt(model, "Hello {{name}}")
    client.set_prompt_alias(model, "production", 1)
    other = new_name("prompt")
    answer = house.mlflow("admin", "POST", "registered-models/rename", name=model, new_name=other)
    assert answer.status_code == 200, answer.text
    assert house.client("admin").get_prompt_version(other, 1).template == "Hello {{name}}"
    house.client("admin").delete_prompt(other)
    assert house.sql("SELECT 1 FROM registered_models WHERE name = :m", m=other) == []
