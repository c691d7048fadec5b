"""From registration to Production and back, by three people; every step is a line of history."""

import json
import re

import pytest
from commands import As
from mlflow.exceptions import MlflowException
from tiny_versions import register_tiny, validate_tiny

from registry import ModelVersion, Registry, Stage, list_versions, resolve
from registry.__main__ import main

pytest_plugins = ["registry_fixtures"]


def stages(at: Registry, model: str) -> dict[int, str]:
    """Give the stage of every version, and check that the alias follows Production."""
    found = {v.version: v.stage.value for v in list_versions(at, model)}
    live = [version for version, stage in found.items() if stage == "Production"]
    assert len(live) <= 1
    try:
        alias = [int(at.client.get_model_version_by_alias(model, "production").version)]
    except MlflowException:
        alias = []
    assert alias == live
    if live:
        assert resolve(at, f"models:/{model}@production").version == live[0]
        assert resolve(at, f"models:/{model}/Production").version == live[0]
    return found


def validated(at: Registry, model: str, seed: int) -> ModelVersion:
    version = register_tiny(at, model, seed)
    validate_tiny(at, version)
    return version


def lines(text: str) -> list[str]:
    return [re.sub(r"\s+", " ", line).strip() for line in text.splitlines()]


def first_goes_live(at: Registry, model: str, author: As, reviewer: As, operator: As) -> None:
    asked = author(main, "request", model, "1", "--reason", "beats the rule of thumb")
    assert (asked.code, asked.err) == (0, "")
    assert asked.out == f"{model} version 1 waits in Staging for a reviewer's approval\n"
    assert stages(at, model) == {1: "Staging"}

    # Asked again, nothing moves.
    assert author(main, "request", model, "1", "--reason", "still does").code == 0

    approved = reviewer(main, "approve", model, "1", "--reason", "calibration looked at")
    assert (approved.code, approved.err) == (0, "")
    assert approved.out == (
        f"{model} version 1 is approved by reviewer; python -m registry promote lets it go live\n"
    )
    assert stages(at, model) == {1: "Staging"}

    live = operator(main, "promote", model, "1", "--to", "Production", "--reason", "goes live")
    assert (live.code, live.out, live.err) == (0, f"{model} version 1 is in Production\n", "")
    assert stages(at, model) == {1: "Production"}


def test_the_whole_life_of_two_versions(
    at: Registry, model: str, author: As, reviewer: As, operator: As
) -> None:
    first = validated(at, model, 1)
    nothing = author(main, "history", model)
    assert (nothing.code, nothing.out) == (0, f"No version of {model} has changed its stage yet\n")
    assert stages(at, model) == {1: "None"}

    first_goes_live(at, model, author, reviewer, operator)

    again = operator(main, "promote", model, "1", "--to", "Production", "--reason", "again")
    assert again.code == 1
    assert "is refused: Version 1 is in Production already." in again.err
    asked = author(main, "request", model, "1", "--reason", "again")
    assert (asked.code, "Version 1 is in Production already." in asked.err) == (1, True)
    nowhere = operator(main, "rollback", model, "--reason", "to what?")
    assert nowhere.code == 4
    assert f"registry: {model} has no earlier Production version to go back to." in nowhere.err

    second = validated(at, model, 2)
    for who, *command in (
        (author, "request", model, "2", "--reason", "newer months"),
        (reviewer, "approve", model, "2", "--reason", "fine"),
        (operator, "promote", model, "2", "--to", "Production", "--reason", "replaces"),
    ):
        assert who(main, *command).code == 0
    assert stages(at, model) == {1: "Archived", 2: "Production"}

    for number in ("0", "-1"):
        wrong = operator(main, "rollback", model, f"--to={number}", "--reason", "typed wrong")
        assert wrong.code == 2
        assert f"has no version {number}: versions are counted from 1" in wrong.err
    back = operator(main, "rollback", model, "--reason", "false alarms since noon")
    assert (back.code, back.out) == (0, f"{model} version 1 is in Production again\n")
    assert stages(at, model) == {1: "Production", 2: "Archived"}

    further = operator(main, "rollback", model, "--reason", "and further back")
    assert further.code == 4
    assert f"{model} has no earlier Production version to go back to" in further.err
    forth = operator(main, "rollback", model, "--to", "2", "--reason", "it was the data")
    assert (forth.code, forth.out) == (0, f"{model} version 2 is in Production again\n")
    assert stages(at, model) == {1: "Archived", 2: "Production"}

    # What was approved once, and taken back, needs a new request and a new approval.
    assert operator(main, "rollback", model, "--reason", "and once more").code == 0
    assert author(main, "request", model, "2", "--reason", "again").code == 0
    stale = author(main, "promote", model, "2", "--to", "Production", "--reason", "as approved")
    assert stale.code == 1
    assert "The approval let the version into Production once already" in stale.err
    assert stages(at, model) == {1: "Production", 2: "Staging"}

    # Nobody takes Production off the stage without putting something there.
    for who in (author, operator):
        off = who(main, "promote", model, "1", "--to", "Staging", "--reason", "off stage")
        assert off.code == 1
        assert "Version 1 is in Production, and nothing would replace it" in off.err
    assert stages(at, model) == {1: "Production", 2: "Staging"}

    told = json.loads(operator(main, "history", model, "--json").out)
    assert [tuple(t[key] for key in ("version", "from_stage", "to_stage", "by", "reason")) for t in told] == [
        (1, "None", "Staging", "author", "beats the rule of thumb"),
        (1, "Staging", "Production", "operator", "goes live"),
        (2, "None", "Staging", "author", "newer months"),
        (1, "Production", "Archived", "operator", "replaced by version 2"),
        (2, "Staging", "Production", "operator", "replaces"),
        (2, "Production", "Archived", "operator", "replaced by version 1"),
        (1, "Archived", "Production", "operator", "false alarms since noon"),
        (1, "Production", "Archived", "operator", "replaced by version 2"),
        (2, "Archived", "Production", "operator", "it was the data"),
        (2, "Production", "Archived", "operator", "replaced by version 1"),
        (1, "Archived", "Production", "operator", "and once more"),
        (2, "Archived", "Staging", "author", "again"),
    ]
    digests = {1: first.digest, 2: second.digest}
    assert all(t["digest"] == digests[t["version"]] for t in told)
    assert first.digest != second.digest

    shown = lines(operator(main, "history", model).out)
    assert len(shown) == 13
    assert shown[0] == "when (UTC) version transition by why"
    assert re.fullmatch(r"[0-9T:-]+Z 1 None → Staging author beats the rule of thumb", shown[1])
    assert re.fullmatch(r"[0-9T:-]+Z 2 Archived → Staging author again", shown[12])


@pytest.fixture
def waiting(at: Registry, model: str, author: As) -> str:
    """A model whose version 1 is validated and requested by its author."""
    validated(at, model, 1)
    assert author(main, "request", model, "1", "--reason", "please").code == 0
    return model


def test_four_eyes(at: Registry, waiting: str, author: As, reviewer: As, operator: As) -> None:
    own = author(main, "approve", waiting, "1", "--reason", "trust me")
    assert own.code == 1
    assert own.err == (
        f"registry: The approval of {waiting} version 1 is refused:"
        " author is the author of version 1; another person must approve.\n"
    )
    early = operator(main, "promote", waiting, "1", "--to", "Production", "--reason", "hurry")
    assert early.code == 1
    assert early.err == (
        f"registry: The move of {waiting} version 1 to Production is refused:"
        " Version 1 has no approval; a reviewer gives it with: python -m registry approve.\n"
    )
    assert reviewer(main, "request", waiting, "1", "--reason", "my own wish").code == 0
    asked = reviewer(main, "approve", waiting, "1", "--reason", "and granted")
    assert asked.code == 1
    assert asked.err == (
        f"registry: The approval of {waiting} version 1 is refused:"
        " reviewer asked for it; another person must approve.\n"
    )
    assert operator(main, "approve", waiting, "1", "--reason", "a third person").code == 0
    assert stages(at, waiting) == {1: "Staging"}


def test_every_decision_needs_a_reason(
    at: Registry, waiting: str, author: As, reviewer: As, operator: As
) -> None:
    for who, verb, *more in (
        (author, "request", "1"),
        (reviewer, "approve", "1"),
        (operator, "promote", "1", "--to", "Production"),
        (operator, "rollback", "--to", "1"),
    ):
        for reason in ("", " \t\n"):
            refused = who(main, verb, waiting, *more, "--reason", reason)
            assert refused.code == 1
            assert "is refused: A reason is needed: --reason says why." in refused.err
    missing = author(main, "request", waiting, "1")
    assert (missing.code, "the following arguments are required: --reason" in missing.err) == (2, True)
    assert stages(at, waiting) == {1: "Staging"}


def test_reasons_are_text_and_nothing_else(at: Registry, waiting: str, reviewer: As, author: As) -> None:
    odd = "[red]; rm -rf / $(id) --to=Production 'single' \"double\" ☂ <b>"
    for refused in ("two\nlines", "bell\a", "x" * 1001):
        ran = reviewer(main, "approve", waiting, "1", f"--reason={refused}")
        assert ran.code == 1
        assert "expected at most 1,000, on one line" in ran.err
    assert reviewer(main, "approve", waiting, "1", f"--reason={odd}").code == 0
    shown = json.loads(author(main, "show", waiting, "1", "--json").out)
    assert shown["approval"]["reason"] == odd
    assert "[red]; rm -rf / $(id)" in author(main, "show", waiting, "1").out
    assert stages(at, waiting) == {1: "Staging"}


def test_only_what_waited_in_staging_goes_live(
    at: Registry, model: str, author: As, reviewer: As, operator: As
) -> None:
    version = register_tiny(at, model)
    unvalidated = author(main, "request", model, "1", "--reason", "now")
    assert unvalidated.code == 1
    assert unvalidated.err == (
        f"registry: The request for {model} version 1 is refused: Version 1 was never validated;"
        " run: mlflow run . --env-manager local -e validate -P version=1.\n"
    )
    validate_tiny(at, version, passed=False)
    failed = author(main, "request", model, "1", "--reason", "now")
    assert (failed.code, "Its validation failed: auc is 0.5; expected more." in failed.err) == (1, True)

    validate_tiny(at, version)
    for stage, to in (("None", "Production"), ("Archived", "Production")):
        if stage == "Archived":
            with pytest.warns(FutureWarning, match="stages"):
                at.client.transition_model_version_stage(model, "1", "Archived")
        refused = operator(main, "promote", model, "1", "--to", to, "--reason", "at once")
        assert refused.code == 1
        assert refused.err.startswith(
            f"registry: The move of {model} version 1 to Production is refused: Version 1 is in {stage};"
            " only a version in Staging can go to Production (python -m registry request)."
        )
    never = operator(main, "rollback", model, "--to", "1", "--reason", "back")
    assert (never.code, "Version 1 was never in Production, so going there" in never.err) == (1, True)
    for to in ("None", "Archived"):
        away = operator(main, "promote", model, "1", "--to", to, "--reason", "away")
        assert away.code == 1
        assert "is refused: " in away.err
    for to in ("production", "STAGING", "latest"):
        wrong = operator(main, "promote", model, "1", "--to", to, "--reason", "x")
        assert wrong.code == 2
        assert wrong.err == (
            f"registry: There is no stage {to!r}; stages are None, Staging, Production, Archived, written"
            " exactly so\n"
        )
    early = reviewer(main, "approve", model, "1", "--reason", "unasked")
    assert early.code == 1
    assert "Nobody asked for version 1 to go to Production; expected a request first" in early.err
    assert resolve(at, f"models:/{model}/1").stage is Stage.ARCHIVED
