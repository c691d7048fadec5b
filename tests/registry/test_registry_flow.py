"""From registration to Production and back, by three people; every step is a line of the ledger."""

import datetime as dt
import json
import os
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from commands import As
from mlflow.exceptions import MlflowException
from tiny_versions import register_tiny, validate_tiny

from registry import ModelVersion, Registry, experiment_id, list_versions, read_history, resolve
from registry.__main__ import main
from registry.ledger import find_faults

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


def said(text: str) -> list[str]:
    return [re.sub(r"\s+", " ", line).strip() for line in text.splitlines()]


@pytest.fixture
def waiting(at: Registry, model: str, author: As) -> str:
    """A model whose version 1 is validated and requested by its author."""
    validated(at, model, 1)
    assert author(main, "request", model, "1", "--reason", "please").code == 0
    return model


def test_an_experiment_is_created_once_and_chosen_for_nobody_else(at: Registry, model: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(lambda _: experiment_id(at, model), range(8)))
    assert ids == {at.client.get_experiment_by_name(model).experiment_id}
    assert "MLFLOW_EXPERIMENT_ID" not in os.environ


def test_a_challenger_before_clients(at: Registry, waiting: str, author: As, reviewer: As) -> None:
    model, why = waiting, ("--exposure", "--reason", "beside version 1")
    alone = author(main, "request", model, "1", *why)
    assert alone.code == 1
    assert f"The request for exposure of {model} version 1 is refused: Nothing is in Production" in alone.err
    assert reviewer(main, "approve", model, "1", "--reason", "fine").code == 0
    validated(at, model, 1)
    assert author(main, "request", model, "2", "--reason", "newer months").code == 0
    asked = author(main, "request", model, "2", *why)
    assert asked.out == f"{model} version 2 waits for a reviewer's approval to answer clients\n"
    (row,) = [line for line in said(author(main, "exposures").out) if line.startswith(model)]
    assert re.fullmatch(f"{model} 2 waits for approval by author, [0-9: -]+: beside version 1", row)
    (row,) = [line for line in said(reviewer(main, "requests").out) if line.startswith(model)]
    assert row.endswith("newer months 0 waits for approval")
    assert author(main, "approve", model, "2", *why).code == 1
    both = reviewer(main, "approve", model, "2", *why, "--accept-signature-change")
    assert (both.code, "not allowed with argument" in both.err) == (2, True)

    begun = reviewer(main, "approve", model, "2", *why)
    assert begun.out == f"{model} version 2 may answer clients, beside the version in Production\n"
    assert stages(at, model) == {1: "Production", 2: "Staging"}
    (plain,) = json.loads(reviewer(main, "exposures", model, "--json").out)
    assert (plain["version"], plain["answers"], plain["begun"]["by"]) == (2, True, "reviewer")
    shown = said(reviewer(main, "show", model, "2").out)
    assert "exposure may answer clients" in shown
    assert "you may end-exposure" in shown

    ended = author(main, "end-exposure", model, "2", "--reason", "5 % of its answers failed")
    assert ended.out == f"{model} version 2 is not exposed to clients, and stays in Staging\n"
    assert (
        reviewer(main, "exposures", model).out == "No challenger may answer clients, and none waits for it\n"
    )
    assert author(main, "request", model, "2", *why).code == 0
    rejected = reviewer(main, "reject", model, "2", *why)
    assert rejected.out == f"{model} version 2 is rejected for exposure, and stays in Staging\n"
    told = [re.sub(r"^[0-9: -]+ 2 ", "", line) for line in said(reviewer(main, "history", model).out)]
    assert told[-5:] == [
        "exposure approved reviewer beside version 1",
        "exposed reviewer beside version 1",
        "exposure ended author 5 % of its answers failed",
        "exposure requested author beside version 1",
        "exposure rejected reviewer beside version 1",
    ]


def test_the_whole_life_of_two_versions(at: Registry, model: str, author: As, reviewer: As) -> None:
    first = validated(at, model, 1)
    assert stages(at, model) == {1: "None"}
    asked = author(main, "request", model, "1", "--reason", "beats the rule of thumb")
    assert (asked.code, asked.err) == (0, "")
    assert asked.out == f"{model} version 1 waits in Staging for a reviewer's approval\n"
    assert stages(at, model) == {1: "Staging"}
    again = author(main, "request", model, "1", "--reason", "still does")
    assert again.code == 1
    assert "is refused: Version 1 waits for a review already: author asked at " in again.err

    (queued,) = [r for r in json.loads(reviewer(main, "requests", "--json").out) if r["name"] == model]
    assert (queued["version"], queued["request"]["reason"]) == (1, "beats the rule of thumb")
    assert any(model in line for line in said(reviewer(main, "requests").out))

    live = reviewer(main, "approve", model, "1", "--reason", "calibration looked at")
    assert (live.code, live.out, live.err) == (0, f"{model} version 1 is in Production\n", "")
    assert stages(at, model) == {1: "Production"}
    twice = reviewer(main, "approve", model, "1", "--reason", "again")
    assert (twice.code, "is refused: Version 1 is in Production already." in twice.err) == (1, True)
    nowhere = reviewer(main, "rollback", model, "--reason", "to what?")
    assert nowhere.code == 4
    assert nowhere.err.startswith(f"registry: {model} has no earlier Production version to go back to.")

    second = validated(at, model, 2)
    assert author(main, "request", model, "2", "--reason", "newer months").code == 0
    assert reviewer(main, "approve", model, "2", "--reason", "fine").code == 0
    assert stages(at, model) == {1: "Archived", 2: "Production"}

    for number in ("0", "-1"):
        wrong = reviewer(main, "rollback", model, f"--to={number}", "--reason", "typed wrong")
        assert wrong.code == 2
        assert f"has no version {number}: versions are counted from 1" in wrong.err
    back = reviewer(main, "rollback", model, "--reason", "false alarms since noon")
    assert (back.code, back.out) == (0, f"{model} version 1 is in Production again\n")
    further = reviewer(main, "rollback", model, "--reason", "and further back")
    assert further.code == 4
    assert reviewer(main, "rollback", model, "--to", "2", "--reason", "it was the data").code == 0
    assert stages(at, model) == {1: "Archived", 2: "Production"}
    assert reviewer(main, "archive", model, "2", "--reason", "retired").code == 0
    assert stages(at, model) == {1: "Archived", 2: "Archived"}
    # With nothing there, back is to the last that was.
    assert reviewer(main, "rollback", model, "--reason", "not yet").code == 0
    assert stages(at, model) == {1: "Archived", 2: "Production"}

    told = [line for line in read_history(at, model) if line.from_stage is not line.to_stage]
    assert [(t.version, t.action, f"{t.from_stage} to {t.to_stage}", t.by, t.reason) for t in told] == [
        (1, "requested", "None to Staging", "author", "beats the rule of thumb"),
        (1, "promoted", "Staging to Production", "reviewer", "calibration looked at"),
        (2, "requested", "None to Staging", "author", "newer months"),
        (1, "archived", "Production to Archived", "reviewer", "replaced by version 2"),
        (2, "promoted", "Staging to Production", "reviewer", "fine"),
        (2, "archived", "Production to Archived", "reviewer", "replaced by version 1"),
        (1, "rolled back", "Archived to Production", "reviewer", "false alarms since noon"),
        (1, "archived", "Production to Archived", "reviewer", "replaced by version 2"),
        (2, "rolled back", "Archived to Production", "reviewer", "it was the data"),
        (2, "archived", "Production to Archived", "reviewer", "retired"),
        (2, "rolled back", "Archived to Production", "reviewer", "not yet"),
    ]
    digests = {1: first.digest, 2: second.digest}
    assert all(line.digest == digests[line.version] for line in told)
    shown = said(author(main, "history", model).out)
    assert shown[0] == "when (UTC) version what stage by why"
    assert re.fullmatch(r"[0-9-]+ [0-9:]+ 1 registered author", shown[1])
    assert re.fullmatch(r"[0-9-]+ [0-9:]+ 2 rolled back Archived → Production reviewer not yet", shown[-1])


def test_what_was_live_then_and_who_let_it_in(at: Registry, waiting: str, author: As, reviewer: As) -> None:
    def then() -> dt.datetime:
        return max(dt.datetime.fromisoformat(line.at) for line in read_history(at, waiting))

    before = then()
    assert reviewer(main, "approve", waiting, "1", "--reason", "looked").code == 0
    while_live = then()
    assert reviewer(main, "archive", waiting, "1", "--reason", "retired").code == 0
    found = author(main, "history", waiting, "--at", while_live.isoformat())
    assert found.code == 0
    assert said(found.out)[0].startswith(f"{waiting} version 1 was in Production at ")
    assert any(line.startswith("how promoted by reviewer: looked") for line in said(found.out))
    plain = json.loads(author(main, "history", waiting, "--at", while_live.isoformat(), "--json").out)
    assert (plain["version"], [a["by"] for a in plain["approvals"]]) == (1, ["reviewer"])
    for when in (before.isoformat(), "2999-01-01T00:00"):
        nothing = author(main, "history", waiting, "--at", when)
        assert (nothing.code, nothing.out) == (4, "")
        assert nothing.err.startswith(f"registry: No version of {waiting} was in Production at ")
    wrong = author(main, "history", waiting, "--at", "noon")
    assert (wrong.code, "--at is 'noon', expected a time such as 2026-03-01T12:00" in wrong.err) == (2, True)


def test_four_eyes(at: Registry, waiting: str, author: As, reviewer: As, operator: As) -> None:
    own = author(main, "approve", waiting, "1", "--reason", "trust me")
    assert own.code == 1
    assert own.err == (
        f"registry: The approval of {waiting} version 1 is refused: author may not approve: that takes the"
        " MLflow role 'reviewer', which an admin assigns. author is the author of version 1; another person"
        " must approve.\n"
    )
    for verb in ("approve", "reject", "archive"):
        no_right = operator(main, verb, waiting, "1", "--reason", "hurry")
        assert no_right.code == 1
    assert "operator may not approve" in operator(main, "approve", waiting, "1", "--reason", "x").err
    assert reviewer(main, "reject", waiting, "1", "--reason", "no calibration").code == 0
    assert stages(at, waiting) == {1: "None"}

    assert reviewer(main, "request", waiting, "1", "--reason", "my own wish").code == 0
    asked = reviewer(main, "approve", waiting, "1", "--reason", "and granted")
    assert asked.code == 1
    assert asked.err == (
        f"registry: The approval of {waiting} version 1 is refused:"
        " reviewer asked for it; another person must approve.\n"
    )
    assert author(main, "withdraw", waiting, "1", "--reason", "not so").code == 0
    assert stages(at, waiting) == {1: "None"}
    gone = reviewer(main, "approve", waiting, "1", "--reason", "late")
    assert "Nobody asked for version 1 to go to Production; expected a request first" in gone.err


def test_every_decision_needs_a_reason(at: Registry, waiting: str, author: As, reviewer: As) -> None:
    for who, verb, *more in (
        (reviewer, "approve", "1"),
        (reviewer, "reject", "1"),
        (author, "withdraw", "1"),
        (author, "archive", "1"),
        (reviewer, "rollback", "--to", "1"),
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
    for refused in ("two\nlines", "bell\a", "x" * 1001, "x" * 100_000):
        ran = reviewer(main, "approve", waiting, "1", f"--reason={refused}")
        assert ran.code == 1
        assert "expected at most 1,000, on one line" in ran.err
    assert reviewer(main, "approve", waiting, "1", f"--reason={odd}").code == 0
    lines = json.loads(author(main, "history", waiting, "--json").out)
    assert [line["reason"] for line in lines if line["action"] == "approved"] == [odd]
    assert "[red]; rm -rf / $(id)" in author(main, "history", waiting).out
    assert stages(at, waiting) == {1: "Production"}


def test_only_what_was_validated_is_asked_for(at: Registry, model: str, author: As, reviewer: As) -> None:
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
    never = reviewer(main, "rollback", model, "--to", "1", "--reason", "back")
    assert (never.code, "Version 1 was never in Production, so going there" in never.err) == (1, True)
    early = reviewer(main, "approve", model, "1", "--reason", "unasked")
    assert "Nobody asked for version 1 to go to Production; expected a request first" in early.err
    assert stages(at, model) == {1: "None"}


def test_the_ledger_is_whole_and_its_head_is_kept_elsewhere(at: Registry, waiting: str, author: As) -> None:
    assert waiting
    assert find_faults(read_history(at)) == []
    whole = author(main, "verify")
    assert whole.code == 0
    assert re.fullmatch(
        r"The ledger is whole: [\d,]+ lines, compared with [\d,]+ heads kept elsewhere\n", whole.out
    )
    number, digest = author(main, "head").out.split()
    newest = [*read_history(at)][-1]
    assert (int(number), digest) == (newest.number, newest.hash)
    alone = author(main, "verify", GREENROOM_LEDGER_HEADS="")
    assert "compared with no head, for GREENROOM_LEDGER_HEADS is not set" in alone.out
