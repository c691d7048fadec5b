"""The bytes of a registered version: nobody changes them through the server, and no change goes unseen."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from review_house import FRESH, ONE_ENGINE, WAITING, House, message_of, new_name
from tiny_versions import validate_tiny

import registry
from registry import Act, Manifest, ModelVersion

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytest_plugins = ["review_fixtures"]

PROXY = "/api/2.0/mlflow-artifacts/artifacts"


def located(house: House, version: ModelVersion) -> str:
    location = house.client("ann").get_model_version_download_uri(version.name, str(version.version))
    return str(location).partition(":/")[2].strip("/")


def as_registered(house: House, version: ModelVersion) -> bool:
    return Manifest.of(house.folder_of(version)).digest == version.digest


WAYS: dict[str, Callable[[str], str]] = {
    "plain": lambda path: path,
    "two slashes": lambda path: path.replace("/", "//"),
    "dots": lambda path: path.replace("/models/", "/./models/"),
    "encoded dots": lambda path: path.replace("/models/", "/%2e/models/"),
    "up and down": lambda path: path.replace("/models/", "/x/../models/"),
    "up and down, encoded": lambda path: path.replace("/models/", "/x/%2e%2e/models/"),
    "up and down, encoded twice": lambda path: path.replace("/models/", "/x/%252e%252e/models/"),
    "encoded slashes": lambda path: path.replace("/models/", "%2Fmodels%2F"),
    "slashes encoded twice": lambda path: path.replace("/models/", "%252Fmodels%252F"),
    "slashes encoded thrice": lambda path: path.replace("/models/", "%25252Fmodels%25252F"),
    "an encoded letter": lambda path: path.replace("/m-", "/%6d-"),
    "a letter encoded twice": lambda path: path.replace("/m-", "/%256d-"),
    "a slash before": lambda path: f"/{path}",
    "an encoded slash before": lambda path: f"%2F{path}",
    "a plus": lambda path: path.replace("/m-", "/+m-"),
    "a backslash": lambda path: path.replace("/models/", "\\models\\"),
    "an encoded backslash": lambda path: path.replace("/models/", "%5Cmodels%5C"),
    "an encoded question mark": lambda path: path.replace("/models/", "/models%3f/../models/"),
    "a question mark": lambda path: f"{path}?x=1",
    "a fragment": lambda path: f"{path}%23x",
}


@ONE_ENGINE
@pytest.mark.parametrize("way", WAYS)
def test_a_file_of_it_replaced_or_added_through_the_server(house: House, shown: str, way: str) -> None:
    version = registry.find_version(house.at("ann"), shown, FRESH)
    names = ("model.ubj", "extra.bin", "code/extra.py") if way == "plain" else ("model.ubj",)
    for name in names:
        path = WAYS[way](f"{located(house, version)}/{name}")
        for root in (PROXY, PROXY.replace("/api/", "/ajax-api/")):
            status, said = house.raw("admin", "PUT", f"{root}/{path}", b"forged")
            if way == "plain":
                assert status == 400
                assert f"{name.rpartition('/')[2]!r} belongs to " in said
                assert "whose artifact is fixed since it was registered. Log a new model instead." in said
        assert as_registered(house, version), way


@ONE_ENGINE
@pytest.mark.parametrize("verb", ["create", "complete", "abort"])
def test_a_multipart_upload_into_it(house: House, shown: str, verb: str) -> None:
    version = registry.find_version(house.at("ann"), shown, FRESH)
    path = located(house, version)
    body = {"path": "model.ubj", "num_parts": 1, "upload_id": "1", "parts": []}
    for at in (path, f"{path}/code", quote(path, safe=""), path.replace("/models/", "/%2e/models/")):
        answer = house.call("admin", "POST", f"/api/2.0/mlflow-artifacts/mpu/{verb}/{at}", json=body)
        assert "whose artifact is fixed" in message_of(answer)


def test_it_is_deleted_only_off_stage(house: House, shown: str, model: str) -> None:
    version = registry.find_version(house.at("ann"), shown, WAITING)
    path = located(house, version)
    parents = [path.rsplit("/", n)[0] for n in range(1, path.count("/") + 1)]
    odd = (path.replace("/models/", "//models/%2e/"), ".", "./", "%2e", "%252e", "0/.", "./0")
    for at in (path, f"{path}/model.ubj", *parents, *odd):
        status, said = house.raw("admin", "DELETE", f"{PROXY}/{at}")
        assert (status, "whose artifact is fixed" in said) == (400, True), at
    for at in ("", "/", "//", "..", "%2e%2e", "x/..", "0/../0", "%00"):
        house.raw("admin", "DELETE", f"{PROXY}/{at}")
        assert as_registered(house, version), at
    # What is not on stage may go, as `mlflow gc` would have it.
    source, run_id = house.log("ann")
    other = registry.register(house.at("ann"), model, source, run_id)
    answer = house.call("admin", "DELETE", f"{PROXY}/{located(house, other)}")
    assert answer.status_code == 200
    validate_tiny(house.at("olaf"), other)
    with pytest.raises(registry.RefusedError, match="not whole any more: the file 'MLmodel' is missing"):
        house.decide("ann", Act.REQUEST, model, 1)


@ONE_ENGINE
@pytest.mark.parametrize("source", ["mlflow-artifacts:/0/{}/artifacts/model", "runs:/{}/model"])
def test_an_upload_to_the_run_it_lies_in(house: House, model: str, source: str) -> None:
    """MLflow has a second door for uploads, for its own pages."""
    at = house.at("ann")
    run_id = house.log("ann")[1]
    folder = house.folder_of(house.register(new_name("tiny")))
    at.client.log_artifacts(run_id, str(folder), "model")
    at.client.create_registered_model(model)
    created = {"name": model, "source": source.format(run_id), "run_id": run_id}
    assert house.mlflow("ann", "POST", "model-versions/create", **created).ok
    digest = registry.find_version(at, model, 1).digest
    stored = house.server.folder.path / "artifacts" / "0" / run_id / "artifacts" / "model"
    assert Manifest.of(stored).digest == digest
    status, said = house.raw("admin", "PUT", f"{PROXY}/0/{run_id}/artifacts/model/model.ubj", b"forged")
    assert (status, "whose artifact is fixed" in said) == (400, True)
    for to in ("model/model.ubj", "model/extra.bin", "model//model.ubj", "model/./model.ubj", "model%2Fx"):
        for prefix in ("/ajax-api/2.0", ""):
            query = f"run_uuid={run_id}&path={to}"
            answer = house.call("admin", "POST", f"{prefix}/mlflow/upload-artifact?{query}", data=b"forged")
            assert answer.status_code != 200, to
            assert Manifest.of(stored).digest == digest, to
    # Beside it there is room.
    query = f"run_uuid={run_id}&path=notes.txt"
    answer = house.call("ann", "POST", f"/ajax-api/2.0/mlflow/upload-artifact?{query}", data=b"fine")
    assert answer.status_code == 200, answer.text


# In the store itself, past the server


def overwrite(folder: Path) -> str:
    """Same name, same size."""
    file = folder / "model.ubj"
    file.write_bytes(b"\0" * file.stat().st_size)
    return "'model.ubj' was changed: SHA-256"


def grow(folder: Path) -> str:
    (folder / "model.ubj").write_bytes(b"longer" * 10_000)
    return "'model.ubj' was changed: SHA-256"


def remove(folder: Path) -> str:
    (folder / "requirements.txt").unlink()
    return "'requirements.txt' is missing"


def add(folder: Path) -> str:
    (folder / "code" / "extra.py").write_text("raise SystemExit('run')")
    return "'code/extra.py' was added"


SEEN = {
    grow: "Its artifact was changed: 'model.ubj' has 60,000 bytes, registered with ",
    remove: "Its artifact is not whole any more: the file 'requirements.txt' is missing. Register it again.",
    add: "Its artifact was changed: the file 'code/extra.py' was added. Register a new version.",
}


@ONE_ENGINE
@pytest.mark.parametrize("change", [overwrite, grow, remove, add])
def test_a_change_in_the_store(house: House, model: str, change: Callable[[Path], str]) -> None:
    version = registry.register(house.at("ann"), model, *house.log("ann"))
    validate_tiny(house.at("olaf"), version)
    house.decide("ann", Act.REQUEST, model, 1)
    said = change(house.folder_of(version))
    if change in SEEN:
        with pytest.raises(registry.RefusedError) as caught:
            house.decide("rita", Act.APPROVE, model, 1)
        assert SEEN[change] in str(caught.value)
        assert SEEN[change] in registry.read_review(house.at("rita"), model, 1).refusals["approve"][0]
        assert house.stages(model) == {1: "Staging"}
    else:
        # Names and sizes are looked at before a decision; every byte, before one is parsed.
        house.decide("rita", Act.APPROVE, model, 1)
    with pytest.raises(registry.ArtifactError) as refused:
        house.load("olaf", model, 1)
    assert said in str(refused.value)
    assert f"{model} version 1 is not the artifact that was registered" in str(refused.value)


@ONE_ENGINE
def test_a_rollback_to_a_changed_artifact(house: House, model: str) -> None:
    first = registry.register(house.at("ann"), model, *house.log("ann"))
    validate_tiny(house.at("olaf"), first)
    house.decide("ann", Act.REQUEST, model, 1)
    house.decide("rita", Act.APPROVE, model, 1)
    house.live(model)
    remove(house.folder_of(first))
    with pytest.raises(registry.RefusedError, match=r"the file 'requirements\.txt' is missing"):
        house.decide("rita", Act.ROLLBACK, model, None)
    assert house.stages(model) == {1: "Archived", 2: "Production"}
