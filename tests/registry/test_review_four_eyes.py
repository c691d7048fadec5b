"""Ways to let one's own version in, or to be somebody else. None of them works, and each says why."""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from mlflow.exceptions import RestException
from review_house import FRESH, ONE_ENGINE, WAITING, House, message_of, new_name
from tiny_versions import validate_tiny

import registry
from registry import Act

pytest_plugins = ["review_fixtures"]

DECISIONS = "/api/2.0/greenroom/decisions"
IS_PROMPT = "mlflow.prompt.is_prompt"


def refusal(house: House, login: str, act: Act, model: str, version: int | None = 1, **also: Any) -> str:
    with pytest.raises(registry.RefusedError) as caught:
        house.decide(login, act, model, version, **also)
    return " ".join(caught.value.reasons)


@ONE_ENGINE
def test_the_author_who_is_a_reviewer(house: House, model: str) -> None:
    house.staged(model, "rita")
    said = "rita is the author of version 1; another person must approve."
    assert refusal(house, "rita", Act.APPROVE, model) == said
    with pytest.raises(RestException, match=said):
        house.set_stage("rita", model, 1, "Production")
    # Asked for by somebody else, it is still theirs.
    house.decide("rita", Act.WITHDRAW, model, 1)
    house.decide("amy", Act.REQUEST, model, 1)
    assert refusal(house, "rita", Act.APPROVE, model) == said
    assert house.stages(model) == {1: "Staging"}
    house.decide("rob", Act.APPROVE, model, 1)
    assert house.stages(model) == {1: "Production"}


@ONE_ENGINE
def test_the_reviewer_who_asked(house: House, model: str) -> None:
    house.validated(model)
    house.decide("rita", Act.REQUEST, model, 1)
    assert refusal(house, "rita", Act.APPROVE, model) == "rita asked for it; another person must approve."
    with pytest.raises(RestException, match="rita asked for it"):
        house.set_stage("rita", model, 1, "Production")
    assert house.stages(model) == {1: "Staging"}


@ONE_ENGINE
def test_an_author_without_the_right(house: House, shown: str) -> None:
    for login in ("ann", "amy", "olaf", "admin"):
        said = refusal(house, login, Act.APPROVE, shown, WAITING)
        assert f"{login} may not approve: that takes the MLflow role 'reviewer'" in said
        with pytest.raises(RestException, match=f"{login} may not approve"):
            house.set_stage(login, shown, WAITING, "Production")
        assert "may not reject" in refusal(house, login, Act.REJECT, shown, WAITING)


@ONE_ENGINE
def test_production_by_stage_without_a_request(house: House, model: str) -> None:
    house.validated(model)
    for login in ("ann", "rita"):
        with pytest.raises(RestException) as caught:
            house.set_stage(login, model, 1, "Production")
        assert (
            f"The move of {model} version 1 to Production is refused: It is in None; only what waits in"
            " Staging can go to Production."
        ) in str(caught.value)
    house.decide("ann", Act.ARCHIVE, model, 1)
    with pytest.raises(RestException, match="It is in Archived; only what waits in Staging"):
        house.set_stage("rita", model, 1, "Production")
    assert "was never in Production" in refusal(house, "rita", Act.ROLLBACK, model)
    assert house.stages(model) == {1: "Archived"}


@pytest.mark.parametrize("alias", ["production", "Production", "PRODUCTION"])
def test_the_alias_set_directly(house: House, shown: str, alias: str) -> None:
    for login in ("ann", "rita", "admin"):
        answer = house.mlflow(login, "POST", "registered-models/alias", name=shown, alias=alias, version="3")
        said = "It follows the stage Production and is never set by itself."
        assert message_of(answer) == f"The alias {alias} of {shown} is refused: {said}"
        answer = house.mlflow(login, "DELETE", "registered-models/alias", name=shown, alias=alias)
        # MLflow lets nobody delete in a model of others, but an admin.
        assert answer.status_code == 403 or "is refused" in message_of(answer)


@pytest.mark.parametrize("key", ["greenroom.manifest", "greenroom.validation", "GREENROOM.manifest"])
def test_a_tag_of_ours_forged(house: House, shown: str, key: str) -> None:
    version = registry.find_version(house.at("ann"), shown, FRESH)
    client = house.client("ann")
    attempts: tuple[Callable[[], Any], ...] = (
        lambda: client.set_model_version_tag(shown, "3", key, "{}"),
        lambda: client.delete_model_version_tag(shown, "3", key),
        lambda: client.set_registered_model_tag(shown, key, "{}"),
        lambda: client.create_registered_model(new_name("tiny"), tags={key: "{}"}),
        lambda: client.create_model_version(
            shown,
            version.source,
            version.run_id,
            tags={key: "{}"},
            model_id=version.source.removeprefix("models:/"),
        ),
    )
    for attempt in attempts:
        with pytest.raises(RestException, match=r"Tags that begin with greenroom\. are written by Greenroom"):
            attempt()
    assert registry.find_version(house.at("ann"), shown, FRESH) == version


def test_a_version_made_anew_under_an_old_number(house: House, model: str) -> None:
    house.live(model)
    house.staged(model, "ann", 1)
    house.decide("rita", Act.APPROVE, model, 2)
    house.decide("rob", Act.ARCHIVE, model, 2)
    assert house.stages(model) == {1: "Archived", 2: "Archived"}
    house.client("admin").delete_registered_model(model)
    house.register(model, "rita")
    # Neither the verdict nor the approval nor the time in Production is this version's.
    review = registry.read_review(house.at("rita"), model, 1)
    assert (review.author, review.validation, review.request, review.approvals) == ("rita", None, None, ())
    assert "was never in Production" in refusal(house, "rob", Act.ROLLBACK, model)
    assert refusal(house, "amy", Act.REQUEST, model).startswith("Version 1 was never validated")
    with pytest.raises(registry.RegistryError, match="no earlier Production version"):
        house.decide("rob", Act.ROLLBACK, model, None)
    validate_tiny(house.at("olaf"), registry.find_version(house.at("olaf"), model, 1))
    house.decide("amy", Act.REQUEST, model, 1)
    assert "rita is the author" in refusal(house, "rita", Act.APPROVE, model)
    assert house.stages(model) == {1: "Staging"}


def test_a_request_does_not_outlive_its_version(house: House, model: str) -> None:
    house.staged(model)
    house.decide("ann", Act.ARCHIVE, model, 1)
    house.client("admin").delete_model_version(model, "1")
    version = house.register(model)
    assert version.version == 2
    with pytest.raises(registry.RegistryError, match="not found"):
        house.decide("rita", Act.APPROVE, model, 1)
    assert "Nobody asked" in refusal(house, "rita", Act.APPROVE, model, 2)


def test_a_model_renamed(house: House, model: str) -> None:
    other = new_name("other")
    house.live(model)
    answer = house.mlflow("admin", "POST", "registered-models/rename", name=model, new_name=other)
    assert message_of(answer) == (
        f"The renaming of {model} is refused: Its history stands under its name. Register under a new one."
    )
    # A name with a history is no way around: an empty model takes it, and its versions start anew.
    house.decide("rita", Act.ARCHIVE, model, 1)
    client = house.client("admin")
    client.delete_registered_model(model)
    client.create_registered_model(other)
    client.rename_registered_model(other, model)
    house.register(model, "rita")
    assert "was never in Production" in refusal(house, "rob", Act.ROLLBACK, model)
    assert house.stages(model) == {1: "None"}


def test_a_model_with_deleted_versions_renamed(house: House, model: str) -> None:
    house.register(model)
    house.client("admin").delete_model_version(model, "1")
    answer = house.mlflow("admin", "POST", "registered-models/rename", name=model, new_name=new_name("x"))
    assert "is refused" in message_of(answer) or "refuses" in message_of(answer)


def test_a_model_made_a_prompt(house: House, model: str) -> None:
    house.live(model)
    client = house.client("admin")
    for value in ("true", "True", "false", ""):
        with pytest.raises(RestException, match="A model is made a prompt when it is created"):
            client.set_registered_model_tag(model, IS_PROMPT, value)
    with pytest.raises(RestException, match="cannot be made one of a prompt"):
        client.set_model_version_tag(model, "1", IS_PROMPT, "true")
    assert house.stages(model) == {1: "Production"}
    assert [v.version for v in registry.list_versions(house.at("ann"), model)] == [1]


def test_a_prompt_made_a_model(house: House, model: str) -> None:
    """With its alias `production`, which nobody reviewed."""
    client = house.client("ann")
    client.register_prompt(model, "Hello {{name}}")
    client.set_prompt_alias(model, "production", 1)
    for login in ("ann", "admin"):
        answer = house.mlflow(login, "DELETE", "registered-models/delete-tag", name=model, key=IS_PROMPT)
        assert "A prompt stays a prompt" in message_of(answer)
        tag = {"key": IS_PROMPT, "value": "false"}
        answer = house.mlflow(login, "POST", "registered-models/set-tag", name=model, **tag)
        assert "A prompt stays a prompt" in message_of(answer)
    for statement in (
        f"DELETE FROM registered_model_tags WHERE name = :m AND key = '{IS_PROMPT}'",
        f"UPDATE registered_model_tags SET value = 'no' WHERE name = :m AND key = '{IS_PROMPT}'",
        f"UPDATE registered_model_tags SET key = 'was' WHERE name = :m AND key = '{IS_PROMPT}'",
    ):
        with pytest.raises(sa.exc.DBAPIError, match="a prompt that has versions stays a prompt"):
            house.sql(statement, m=model)
    client.delete_prompt(model)


def test_a_model_in_a_prompt_and_a_prompt_in_a_model(house: House, model: str) -> None:
    client = house.client("ann")
    client.register_prompt(model, "Hello {{name}}")
    with pytest.raises(registry.RegistryError, match="already taken by a prompt"):
        house.register(model)
    answer = house.mlflow(
        "ann",
        "POST",
        "model-versions/create",
        name=model,
        source=house.log("ann")[0],
        tags=[{"key": IS_PROMPT, "value": "true"}],
    )
    assert answer.status_code == 400
    other = new_name("tiny")
    house.register(other)
    answer = house.mlflow(
        "ann",
        "POST",
        "model-versions/create",
        name=other,
        source="dummy-source",
        tags=[{"key": IS_PROMPT, "value": "true"}],
    )
    assert "A prompt holds no models, a model no prompts." in message_of(answer)
    assert [v.version for v in registry.list_versions(house.at("ann"), other)] == [1]


@pytest.mark.parametrize("act", [Act.REQUEST, Act.ARCHIVE, Act.DELETE, "validate"])
def test_a_prompt_is_nothing_to_decide_about(house: House, model: str, act: Act | str) -> None:
    house.client("ann").register_prompt(model, "Hello {{name}}")
    before = house.lines()
    if act == "validate":
        answer = house.call(
            "ann",
            "POST",
            "/api/2.0/greenroom/validations",
            json={
                "name": model,
                "version": 1,
                "attempt": str(uuid.uuid4()),
                "validation": {"passed": True, "digest": "0", "run_id": "", "metrics": {}, "reasons": []},
            },
        )
        assert "is a prompt" in message_of(answer)
    elif act is Act.DELETE:
        house.client("ann").delete_prompt_version(model, 1)
    else:
        answer = house.call("ann", "POST", DECISIONS, json=decision(str(act), model, 1))
        assert f"{model} is a prompt; only models are reviewed." in message_of(answer)
        stage = "Staging" if act is Act.REQUEST else "Archived"
        answer = house.mlflow(
            "ann",
            "POST",
            "model-versions/transition-stage",
            name=model,
            version="1",
            stage=stage,
            archive_existing_versions=False,
        )
        assert "is a prompt" in message_of(answer)
    assert house.lines() == before


@ONE_ENGINE
def test_a_copy_of_ones_own_version(house: House, model: str) -> None:
    """Whoever copies answers for the copy; who made it still cannot approve it."""
    house.register(model, "rita")
    other = new_name("copy")
    house.client("amy").copy_model_version(f"models:/{model}/1", other)
    copied = registry.find_version(house.at("amy"), other, 1)
    assert (copied.author, copied.digest) == ("amy", registry.find_version(house.at("amy"), model, 1).digest)
    validate_tiny(house.at("olaf"), copied)
    house.decide("ann", Act.REQUEST, other, 1)
    said = refusal(house, "rita", Act.APPROVE, other)
    assert re.fullmatch(
        r"rita registered the same artifact, as \S+ version 1; another person must approve\.", said
    )
    house.decide("rob", Act.APPROVE, other, 1)
    assert house.stages(other) == {1: "Production"}


@ONE_ENGINE
def test_ones_own_artifact_registered_by_a_friend(house: House, model: str) -> None:
    mine = house.register(model, "rita")
    assert mine.run_id
    second = registry.register(house.at("amy"), model, mine.source, mine.run_id)
    assert second.author == "amy"
    validate_tiny(house.at("olaf"), second)
    house.decide("ann", Act.REQUEST, model, 2)
    said = refusal(house, "rita", Act.APPROVE, model, 2)
    assert "rita registered the same artifact" in said
    # Also after the first one is gone.
    house.client("admin").delete_model_version(model, "1")
    assert "rita registered the same artifact" in refusal(house, "rita", Act.APPROVE, model, 2)


# Who asks


@ONE_ENGINE
@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-User": "rita"},
        {"Remote-User": "rita", "X-Remote-User": "rita", "REMOTE_USER": "rita"},
        {"X-MLflow-User": "rita", "X-Mlflow-Authenticated-User": "rita", "mlflow_authenticated_user": "rita"},
        {"Forwarded": "for=127.0.0.1;by=rita", "X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1"},
        {"X-HTTP-Method-Override": "POST", "X-MLFLOW-INTERNAL-GATEWAY-AUTH": "rita"},
        {"Cookie": "username=rita; session=rita; mlflow_user=rita"},
    ],
    ids=lambda h: next(iter(h)),
)
def test_another_name_in_a_header(house: House, shown: str, headers: dict[str, str]) -> None:
    said = decision("approve", shown)
    answer = house.call("ann", "POST", "/api/2.0/greenroom/decisions", json=said, headers=headers)
    assert "ann is the author" in message_of(answer)
    assert "ann may not approve" in message_of(answer)
    answer = house.call(None, "POST", "/api/2.0/greenroom/decisions", json=said, headers=headers)
    assert answer.status_code == 401


def decision(action: str, model: str, version: int = WAITING, **also: Any) -> dict[str, Any]:
    plain = {
        "action": action,
        "name": model,
        "version": version,
        "reason": "so",
        "attempt": str(uuid.uuid4()),
    }
    return {**plain, **also}


@ONE_ENGINE
@pytest.mark.parametrize("key", ["by", "user", "user_id", "actor", "username", "author", "may_review"])
def test_another_name_in_an_argument(house: House, shown: str, key: str) -> None:
    path = "/api/2.0/greenroom/decisions"
    answer = house.call("ann", "POST", path, json=decision("approve", shown, **dict[str, Any]({key: "rita"})))
    assert f"unknown key '{key}'" in message_of(answer)
    answer = house.call("ann", "POST", f"{path}?{key}=rita", json=decision("approve", shown))
    assert "ann is the author" in message_of(answer)


@ONE_ENGINE
def test_another_author_in_an_argument(house: House, model: str) -> None:
    source, run_id = house.log("ann")
    model_id = source.removeprefix("models:/")
    house.client("ann").create_registered_model(model)
    answer = house.mlflow(
        "ann",
        "POST",
        "model-versions/create",
        name=model,
        source=source,
        run_id=run_id,
        model_id=model_id,
        user_id="olaf",
        author="olaf",
        current_stage="Production",
        aliases=["production"],
        tags=[{"key": "mlflow.user", "value": "olaf"}],
    )
    assert answer.status_code == 200, answer.text
    house.client("ann").set_tag(run_id, "mlflow.user", "olaf")
    assert registry.read_review(house.at("ann"), model, 1).author == "ann"
    assert answer.json()["model_version"]["user_id"] == "ann"
    assert house.stages(model) == {1: "None"}


@ONE_ENGINE
@pytest.mark.parametrize(
    "login",
    [
        "rita:wrong",
        "rita:",
        "rita",
        ":",
        "nobody:wrong",
        "rita:{rita}:wrong",
        "RITA:{rita}",
        "rita :{rita}",
        "rita:{ann}",
        "rita\0:{rita}",
        "admin:password1234",
    ],
)
def test_a_wrong_password(house: House, shown: str, login: str) -> None:
    sent = login.format(**house.server.passwords).encode()
    headers = {"Authorization": f"Basic {base64.b64encode(sent).decode()}"}
    for path, body in (
        ("/api/2.0/greenroom/decisions", decision("approve", shown)),
        (
            "/api/2.0/mlflow/model-versions/transition-stage",
            {"name": shown, "version": "2", "stage": "Production", "archive_existing_versions": True},
        ),
    ):
        answer = house.call(None, "POST", path, json=body, headers=headers)
        # A NUL is an error to PostgreSQL before it is a login to MLflow.
        assert answer.status_code == 401 or ("\0" in login and answer.status_code == 400), answer.text


@ONE_ENGINE
def test_a_wrong_password_is_said_plainly(house: House, shown: str) -> None:
    uri = re.sub("//rita:[^@]+@", "//rita:wrong@", house.at("rita").uri)
    at = registry.connect({"MLFLOW_TRACKING_URI": uri})
    with pytest.raises(registry.RegistryError, match="MLflow does not accept this login") as caught:
        registry.decide(at, Act.APPROVE, shown, WAITING, "so")
    assert "wrong" not in str(caught.value)


@ONE_ENGINE
def test_making_oneself_a_reviewer(house: House, shown: str) -> None:
    [role] = [
        found["id"]
        for found in house.call("admin", "GET", "/api/3.0/mlflow/roles/list").json()["roles"]
        if found["name"] == "reviewer"
    ]
    for path, body in (
        ("3.0/mlflow/roles/create", {"name": "reviewer", "workspace": "default"}),
        ("3.0/mlflow/roles/create", {"name": new_name("role"), "workspace": "default"}),
        ("3.0/mlflow/roles/assign", {"username": "ann", "role_id": role}),
        ("2.0/mlflow/users/create", {"username": new_name("puppet"), "password": "a long password"}),
        ("2.0/mlflow/users/create-ui", {"username": new_name("puppet"), "password": "a long password"}),
    ):
        answer = house.call("ann", "POST", f"/api/{path}", json=body)
        assert answer.status_code in {400, 403, 404, 405}, f"{path}: {answer.status_code} {answer.text[:200]}"
        answer = house.call(None, "POST", f"/api/{path}", json=body)
        assert answer.status_code in {401, 404, 405}, f"{path}: {answer.status_code} {answer.text[:200]}"
    for path, body in (
        ("2.0/mlflow/users/update-admin", {"username": "ann", "is_admin": True}),
        ("2.0/mlflow/users/update-password", {"username": "rita", "password": "a long password"}),
        ("3.0/mlflow/roles/update", {"role_id": role, "name": "other"}),
    ):
        answer = house.call("ann", "PATCH", f"/api/{path}", json=body)
        assert answer.status_code in {400, 403}, f"{path}: {answer.status_code} {answer.text[:200]}"
    assert "ann may not approve" in refusal(house, "ann", Act.APPROVE, shown, WAITING)


def test_what_is_on_stage_is_not_deleted(house: House, shown: str) -> None:
    for version, stage in ((1, "Production"), (2, "Staging")):
        answer = house.mlflow("admin", "DELETE", "model-versions/delete", name=shown, version=str(version))
        said = f"Version {version} is in {stage}; what is on stage cannot be deleted. Archive it first."
        assert message_of(answer) == f"The deletion of {shown} version {version} is refused: {said}"
    answer = house.mlflow("admin", "DELETE", "registered-models/delete", name=shown)
    assert "what is on stage cannot be deleted" in message_of(answer)


# The verdict


def hand_in(house: House, login: str, model: str, digest: str, version: int = FRESH, **also: Any) -> Any:
    verdict = {
        "passed": True,
        "digest": digest,
        "run_id": house.evidence(),
        "metrics": {},
        "reasons": [],
        **also,
    }
    said = {"name": model, "version": version, "attempt": str(uuid.uuid4()), "validation": verdict}
    return house.call(login, "POST", "/api/2.0/greenroom/validations", json=said)


@ONE_ENGINE
def test_a_verdict_without_a_run_behind_it(house: House, shown: str) -> None:
    digest = str(registry.find_version(house.at("ann"), shown, FRESH).digest)
    olaf = house.client("olaf")
    gone = house.evidence()
    house.client("admin").delete_run(gone)
    ancient = olaf.create_run("0", start_time=1_000_000).info.run_id
    created = house.mlflow("olaf", "POST", "runs/create", experiment_id="0")
    timeless = created.json()["run"]["info"]["run_id"]
    for run_id, why in (
        ("", "Its run '' is not on this server. Log the validation as a run here."),
        ("nowhere", "Its run 'nowhere' is not on this server. Log the validation as a run here."),
        (gone, f"Its run {gone} is deleted in MLflow. Restore the run, or validate again."),
        (ancient, f"Its run {ancient} is of 1970-01-01T00:16:40.000Z, before the artifact was registered at"),
        (timeless, f"Its run {timeless} is of 1970-01-01T00:00:00.000Z, before the artifact was registered"),
    ):
        said = message_of(hand_in(house, "olaf", shown, digest, run_id=run_id))
        assert said.startswith(f"The verdict on {shown} version {FRESH} is refused: {why}"), said
    assert "was never validated" in refusal(house, "ann", Act.REQUEST, shown, FRESH)


@ONE_ENGINE
def test_a_verdict_on_another_artifact(house: House, shown: str) -> None:
    version = registry.find_version(house.at("ann"), shown, FRESH)
    other = house.register(new_name("tiny"), "ann", 1)
    assert version.digest
    assert other.digest
    for digest in (other.digest, "", "None", version.digest[:-1], version.digest.upper()):
        said = message_of(hand_in(house, "ann", shown, digest))
        assert said.startswith(f"The verdict on {shown} version {FRESH} is refused: It is about the artifact")
        assert version.digest[:12] in said
    said = refusal(house, "ann", Act.REQUEST, shown, FRESH)
    assert said.startswith(f"Version {FRESH} was never validated")


@ONE_ENGINE
def test_a_verdict_before_the_artifact(house: House, model: str) -> None:
    """A client may register before it uploads; the first verdict then fixes what is there."""
    at = house.at("ann")
    logged = at.client.create_run("0").info.run_id
    path = f"mlflow-artifacts:/0/{logged}/artifacts/model"
    at.client.create_registered_model(model)
    house.mlflow("ann", "POST", "model-versions/create", name=model, source=path, run_id=logged)
    assert "There is no artifact yet" in message_of(hand_in(house, "ann", model, "0" * 64, 1))
    assert "has no digest" in refusal(house, "ann", Act.REQUEST, model)
    assert house.stages(model) == {1: "None"}
    assert house.said(model) == [("ann", "registered", "None")]


@ONE_ENGINE
@pytest.mark.parametrize(
    "changed",
    [
        {"passed": "true"},
        {"passed": 1},
        {"metrics": {"auc": "0.7"}},
        {"metrics": {"auc": True}},
        {"metrics": []},
        {"reasons": "good"},
        {"reasons": [1]},
        {"by": "rita"},
        {"run_id": None},
        {"window": "x" * 300_000},
    ],
    ids=lambda changed: str(changed)[:40],
)
def test_a_malformed_verdict(house: House, shown: str, changed: dict[str, Any]) -> None:
    version = registry.find_version(house.at("ann"), shown, FRESH)
    answer = hand_in(house, "ann", shown, version.digest or "", **changed)
    assert answer.status_code == 400, answer.text[:300]
