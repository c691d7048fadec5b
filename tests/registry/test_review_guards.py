"""What the database refuses by itself: to an SQL shell, to a stock MLflow on the same database, to its gc."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from review_house import AWAY, FRESH, LIVE, WAITING, House, message_of, new_name
from tiny_versions import validate_tiny

import registry
from registry import Act
from registry.server import guards, install, operate, triggers

pytest_plugins = ["review_fixtures"]


def refused(house: House, *statements: str, **values: Any) -> str:
    with pytest.raises(sa.exc.DBAPIError) as caught:
        house.sql(*statements, **values)
    found = re.search(r"Greenroom refuses: ([^\n]+)", str(caught.value.orig))
    assert found, caught.value.orig
    return found[1]


@contextmanager
def rolled_back(house: House) -> Iterator[sa.Connection]:
    with house.database.connect() as connection, connection.begin() as transaction:
        if house.engine == "sqlite":
            # Its driver begins a transaction with the first row written, and not for a trigger.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield connection
        transaction.rollback()


STAGE = "a stage changes only together with its line in the ledger, through a server that runs Greenroom."
DELETED = "a version in Staging or Production cannot be deleted. Archive it first."
FIXED = "the name, the number, the author and the artifact of a version are fixed when it is registered."
ALIAS_SET = "the alias production follows the stage Production and is never set by itself."
ALIAS_REMOVED = "the alias production follows the stage Production and is never removed by itself."
TAGS = "tags that begin with greenroom. are written by Greenroom alone."
LEDGER = "the ledger is only ever added to."
AT_THE_END = "a line is added to the end of the ledger, and follows from the one before."
NO_PROMPT = "a model that has versions cannot be made a prompt."
OF_VERSION = "WHERE name = :m AND version ="


@pytest.mark.parametrize(
    ("version", "stage"),
    [
        (FRESH, "Production"),
        (FRESH, "Staging"),
        (WAITING, "Production"),
        (AWAY, "Production"),
        (LIVE, "Archived"),
        (LIVE, "None"),
        (FRESH, "Archived"),
        (AWAY, "Deleted_Internal"),
        (FRESH, "staging"),
    ],
)
def test_a_stage_without_a_line(house: House, shown: str, version: int, stage: str) -> None:
    change = f"UPDATE model_versions SET current_stage = '{stage}' {OF_VERSION} {version}"
    assert refused(house, change, m=shown) == STAGE
    change = f"UPDATE model_versions SET current_stage = NULL {OF_VERSION} {version}"
    assert refused(house, change, m=shown) == STAGE


def test_a_second_one_in_production_even_without_the_guard(house: House, shown: str) -> None:
    with rolled_back(house) as connection:
        house.drop_guard(connection, "greenroom_stage_needs_line", "model_versions")
        with pytest.raises(sa.exc.IntegrityError, match=r"greenroom_one_in_production|UNIQUE"):
            connection.execute(
                sa.text(f"UPDATE model_versions SET current_stage = 'Production' {OF_VERSION} {FRESH}"),
                {"m": shown},
            )


def test_the_alias_follows_even_a_stage_set_past_the_guard(house: House, shown: str) -> None:
    alias = "SELECT version FROM registered_model_aliases WHERE name = :m AND alias = 'production'"
    with rolled_back(house) as connection:
        house.drop_guard(connection, "greenroom_stage_needs_line", "model_versions")
        for statement in (
            f"UPDATE model_versions SET current_stage = 'Archived' {OF_VERSION} {LIVE}",
            f"UPDATE model_versions SET current_stage = 'Production' {OF_VERSION} {FRESH}",
        ):
            connection.execute(sa.text(statement), {"m": shown})
        assert connection.scalar(sa.text(alias), {"m": shown}) == FRESH
        connection.execute(
            sa.text(f"UPDATE model_versions SET current_stage = 'None' {OF_VERSION} {FRESH}"), {"m": shown}
        )
        assert connection.scalar(sa.text(alias), {"m": shown}) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (f"UPDATE model_versions SET user_id = 'rita' {OF_VERSION} {FRESH}", FIXED),
        (f"UPDATE model_versions SET source = 'models:/m-0' {OF_VERSION} {LIVE}", FIXED),
        (f"UPDATE model_versions SET storage_location = '/tmp' {OF_VERSION} {LIVE}", FIXED),
        (f"UPDATE model_versions SET run_id = NULL {OF_VERSION} {WAITING}", FIXED),
        (f"UPDATE model_versions SET version = 9 {OF_VERSION} {AWAY}", FIXED),
        (f"UPDATE model_versions SET name = 'other' {OF_VERSION} {FRESH}", FIXED),
        (f"DELETE FROM model_versions {OF_VERSION} {LIVE}", DELETED),
        (f"DELETE FROM model_versions {OF_VERSION} {WAITING}", DELETED),
        (
            f"DELETE FROM model_versions {OF_VERSION} {AWAY}",
            "a version is deleted only together with its line in the ledger.",
        ),
        (
            "INSERT INTO model_versions (name, version, current_stage) VALUES (:m, 9, 'Production')",
            "a version is registered in the stage None.",
        ),
    ],
)
def test_a_version_changed_or_erased(house: House, shown: str, change: str, said: str) -> None:
    assert refused(house, change, m=shown) == said


SET = "INSERT INTO registered_model_aliases (workspace, name, alias, version) VALUES ('default', :m, "
OF_ALIAS = "WHERE name = :m AND alias = 'production'"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (f"{SET}'Production', {LIVE})", ALIAS_SET),
        (f"{SET}'PRODUCTION', {WAITING})", ALIAS_SET),
        (f"UPDATE registered_model_aliases SET version = {WAITING} {OF_ALIAS}", ALIAS_SET),
        (f"UPDATE registered_model_aliases SET alias = 'other' {OF_ALIAS}", ALIAS_REMOVED),
        (f"DELETE FROM registered_model_aliases {OF_ALIAS}", ALIAS_REMOVED),
    ],
)
def test_the_alias_set_moved_or_removed(house: House, shown: str, change: str, said: str) -> None:
    assert refused(house, change, m=shown) == said
    # Also in two steps.
    other = f"{SET}'other', {FRESH})"
    moved = "UPDATE registered_model_aliases SET alias = 'production' WHERE name = :m AND alias = 'other'"
    assert refused(house, other, moved, m=shown) == ALIAS_SET


TAG = "INSERT INTO model_version_tags (workspace, name, version, key, value) VALUES ('default', :m, "
OURS = "WHERE name = :m AND key = 'greenroom.manifest'"


@pytest.mark.parametrize(
    "change",
    [
        f"{TAG}{LIVE}, 'greenroom.validation', 'passed')",
        f"{TAG}{FRESH}, 'greenroom.validation', 'passed')",
        f"{TAG}{FRESH}, 'GreenRoom.manifest', '{{}}')",
        f"UPDATE model_version_tags SET value = '{{}}' {OURS}",
        f"UPDATE model_version_tags SET key = 'old' {OURS}",
        f"DELETE FROM model_version_tags {OURS}",
    ],
)
def test_a_tag_of_ours_written_changed_or_deleted(house: House, shown: str, change: str) -> None:
    assert refused(house, change, m=shown) == TAGS
    other = f"{TAG}{FRESH}, 'other', '{{}}')"
    moved = (
        f"UPDATE model_version_tags SET key = 'greenroom.validation' {OF_VERSION} {FRESH} AND key = 'other'"
    )
    assert refused(house, other, moved, m=shown) == TAGS


MODEL_TAG = "INSERT INTO registered_model_tags (workspace, name, key, value) VALUES ('default', :m, "
IS_PROMPT = "mlflow.prompt.is_prompt"


@pytest.mark.parametrize(
    "changes",
    [
        (f"{MODEL_TAG}'{IS_PROMPT}', 'true')",),
        (f"{MODEL_TAG}'{IS_PROMPT}', 'false')",),
        (
            f"{MODEL_TAG}'other', 'true')",
            f"UPDATE registered_model_tags SET key = '{IS_PROMPT}' WHERE name = :m AND key = 'other'",
        ),
        (
            f"{MODEL_TAG}'other', 'no')",
            f"UPDATE registered_model_tags SET key = '{IS_PROMPT}', value = 'True' WHERE key = 'other'",
        ),
    ],
)
def test_a_model_made_a_prompt(house: House, shown: str, changes: tuple[str, ...]) -> None:
    assert refused(house, *changes, m=shown) == NO_PROMPT


def test_a_version_hidden_as_one_of_a_prompt(house: House, shown: str) -> None:
    """MLflow's search leaves such versions out, so nobody would find what is in Production."""
    hidden = f"{TAG}{LIVE}, '{IS_PROMPT}', 'true')"
    assert refused(house, hidden, m=shown) == "a version of a model cannot be made one of a prompt."


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE greenroom_ledger SET reason = 'no' WHERE number = 1", LEDGER),
        ("DELETE FROM greenroom_ledger WHERE number = 1", LEDGER),
        ("DELETE FROM greenroom_ledger", LEDGER),
        ("INSERT INTO greenroom_ledger SELECT * FROM greenroom_ledger WHERE number = 1", AT_THE_END),
    ],
)
def test_the_ledger_changed(house: House, shown: str, change: str, said: str) -> None:
    assert shown
    assert refused(house, change) == said
    house.lines()


def test_a_line_replaced_or_put_in_between(house: House, shown: str) -> None:
    assert shown
    columns = [column["name"] for column in sa.inspect(house.database).get_columns("greenroom_ledger")]
    quoted = ", ".join(f'"{column}"' for column in columns)
    changed = {"number": "max(number) + 2", "hash": "'0'"}
    for number in ("max(number) + 2", "max(number) + 1", "0", "-1"):
        changed["number"] = number
        picked = ", ".join(changed.get(c, f'min("{c}")') for c in columns)
        statement = f"INSERT INTO greenroom_ledger ({quoted}) SELECT {picked} FROM greenroom_ledger"
        assert refused(house, statement) == AT_THE_END
    if house.engine == "sqlite":
        replace = "INSERT OR REPLACE INTO greenroom_ledger SELECT * FROM greenroom_ledger WHERE number = 1"
        assert refused(house, replace) == AT_THE_END
        with pytest.raises(sqlite3.IntegrityError, match="only ever added to"):
            _raw_sqlite(house, "UPDATE OR REPLACE greenroom_ledger SET number = 1 WHERE number = 2")
    else:
        assert refused(house, "TRUNCATE greenroom_ledger") == LEDGER
    house.lines()


@pytest.mark.parametrize(
    "table",
    [
        "model_versions",
        "registered_models",
        "model_version_tags",
        "registered_model_aliases",
        "runs",
        "logged_models",
        "experiments",
    ],
)
def test_a_table_emptied(postgresql_house: House, table: str) -> None:
    """PostgreSQL can do that without deleting a row."""
    before = postgresql_house.lines()
    assert refused(postgresql_house, f"TRUNCATE {table} CASCADE")
    assert postgresql_house.lines() == before


def _raw_sqlite(house: House, statement: str) -> None:
    path = sa.make_url(house.server.database_uri).database
    assert path
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()


# A stock MLflow on the same database


def stock_refusals(house: House, model: str) -> dict[str, Any]:
    client = MlflowClient(house.server.database_uri, house.server.database_uri)
    found = client.get_model_version(model, str(LIVE))
    run = client.get_run(found.run_id)
    model_id = found.source.removeprefix("models:/")
    return {
        "stage": lambda: client.transition_model_version_stage(model, str(FRESH), "Production"),
        "version": lambda: client.delete_model_version(model, str(LIVE)),
        "version in None": lambda: client.delete_model_version(model, str(FRESH)),
        "model": lambda: client.delete_registered_model(model),
        "rename": lambda: client.rename_registered_model(model, f"{model}-new"),
        "alias": lambda: client.set_registered_model_alias(model, "production", str(FRESH)),
        "alias in capitals": lambda: client.set_registered_model_alias(model, "Production", str(FRESH)),
        "alias removed": lambda: client.delete_registered_model_alias(model, "production"),
        "tag": lambda: client.set_model_version_tag(model, str(FRESH), "greenroom.manifest", "{}"),
        "tag forged": lambda: client.set_model_version_tag(model, str(FRESH), "greenroom.x", "{}"),
        "tag removed": lambda: client.delete_model_version_tag(model, str(LIVE), "greenroom.manifest"),
        "prompt": lambda: client.set_registered_model_tag(model, IS_PROMPT, "true"),
        "run": lambda: client.delete_run(found.run_id),
        "experiment": lambda: client.delete_experiment(run.info.experiment_id),
        "logged model": lambda: client.delete_logged_model(model_id),
    }


def test_a_stock_mlflow_on_the_same_database(house: House, shown: str) -> None:
    behind = "a model version in Staging or Production comes from this {}. Archive the version first."
    expected = {
        "stage": STAGE,
        "version in None": STAGE,
        "alias": ALIAS_SET,
        "alias in capitals": ALIAS_SET,
        "alias removed": ALIAS_REMOVED,
        "tag": TAGS,
        "tag forged": TAGS,
        "tag removed": TAGS,
        "prompt": NO_PROMPT,
        "run": behind.format("run"),
        "experiment": behind.format("experiment"),
        "logged model": behind.format("logged model"),
    }
    before = house.lines()
    said = {}
    for what, attempt in stock_refusals(house, shown).items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # MLflow's, of stages
            with pytest.raises(MlflowException, match="Greenroom refuses: ") as caught:
                attempt()
        found = re.search(r"Greenroom refuses: ([^\n]+)", str(caught.value))
        assert found
        said[what] = found[1]
    # Which of the guards MLflow meets first depends on the order in which it writes.
    assert said.pop("model") in {TAGS, DELETED, ALIAS_REMOVED}
    assert said.pop("version") in {DELETED, ALIAS_REMOVED, STAGE}
    assert said.pop("rename") in {FIXED, ALIAS_SET, TAGS}
    assert said == expected
    assert house.lines() == before
    house.stages(shown)


def test_a_version_that_a_stock_mlflow_registers_stays_where_it_is(house: House, model: str) -> None:
    source, run_id = house.log("ann")
    client = MlflowClient(house.server.database_uri, house.server.database_uri)
    client.create_registered_model(model)
    house.sql("DELETE FROM registered_model_tags WHERE name = :m", m=model)
    client.create_model_version(model, f"mlflow-artifacts:/0/{run_id}/x", run_id)
    asked = house.mlflow(
        "ann",
        "POST",
        "model-versions/transition-stage",
        name=model,
        version="1",
        stage="Staging",
        archive_existing_versions=False,
    )
    assert "has no digest" in message_of(asked)
    assert source
    [row] = house.sql("SELECT user_id, current_stage FROM model_versions WHERE name = :m", m=model)
    assert tuple(row) == (None, "None")
    unknown = f"The ledger does not know {model} version 1: a server without Greenroom registered it."
    assert unknown in operate.doctor(house.server.database_uri)


# What lies behind a version


@pytest.mark.parametrize("by", ["client", "REST"])
def test_what_lies_behind_a_staged_version_stays(house: House, shown: str, by: str) -> None:
    client = house.client("admin")
    found = client.get_model_version(shown, str(WAITING))
    experiment = client.get_run(found.run_id).info.experiment_id
    model_id = found.source.removeprefix("models:/")
    for noun, rest, through_client in (
        ("run", ("POST", "runs/delete", {"run_id": found.run_id}), lambda: client.delete_run(found.run_id)),
        (
            "experiment",
            ("POST", "experiments/delete", {"experiment_id": experiment}),
            lambda: client.delete_experiment(experiment),
        ),
        (
            "logged model",
            ("DELETE", f"logged-models/{model_id}", {}),
            lambda: client.delete_logged_model(model_id),
        ),
    ):
        said = f"Greenroom refuses: a model version in Staging or Production comes from this {noun}. Archive"
        if by == "client":
            with pytest.raises(MlflowException, match=said):
                through_client()  # type: ignore[no-untyped-call]  # mlflow has no types
        else:
            method, path, body = rest
            answer = house.mlflow("admin", method, path, **body)
            assert message_of(answer).startswith(said)
    assert client.get_run(found.run_id).info.lifecycle_stage == "active"


def gc(house: House, *options: str) -> subprocess.CompletedProcess[str]:
    folder = Path(house.server.folder.path)
    command = [
        str(Path(sys.executable).parent / "mlflow"),
        "gc",
        f"--backend-store-uri={house.server.database_uri}",
        f"--artifacts-destination={folder / 'artifacts'}",
        f"--tracking-uri={house.at('admin').uri}",
        *options,
    ]
    return subprocess.run(
        command,
        env={**os.environ, **house.server.environment("admin")},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_gc_leaves_what_is_on_stage(house: House, model: str) -> None:
    """And erases what is not: the run and the logged model of an archived version may go."""
    at, admin = house.at("ann"), house.client("admin")
    kept, doomed = house.log("ann"), house.log("ann")
    first = registry.register(at, model, *kept)
    second = registry.register(at, model, *doomed)
    validate_tiny(at, first)
    house.decide("ann", Act.REQUEST, model, 1)
    house.decide("rita", Act.APPROVE, model, 1)
    for source, run_id in (kept, doomed):
        refusing = pytest.raises(MlflowException, match="Greenroom refuses") if source == kept[0] else None
        with refusing or nullcontext():
            admin.delete_run(run_id)
        refusing = pytest.raises(MlflowException, match="Greenroom refuses") if source == kept[0] else None
        with refusing or nullcontext():
            admin.delete_logged_model(source.removeprefix("models:/"))
    done = gc(house)
    assert done.returncode == 0, done.stderr
    assert not house.folder_of(second).exists()
    assert house.load("olaf", model).version.version == 1
    # What is gone is not asked for: the server looks first.
    validate_tiny(at, second)
    with pytest.raises(registry.RefusedError, match="is missing"):
        house.decide("ann", Act.REQUEST, model, 2)


def test_what_is_deleted_behind_a_version_must_come_back_before_a_request(house: House, model: str) -> None:
    at = house.at("ann")
    source, run_id = house.log("ann")
    version = registry.register(at, model, source, run_id)
    validate_tiny(at, version)
    house.client("admin").delete_run(run_id)
    with pytest.raises(registry.RefusedError) as caught:
        house.decide("ann", Act.REQUEST, model, 1)
    assert str(caught.value) == (
        f"The request for {model} version 1 is refused: The run it comes from is deleted in MLflow, and"
        " mlflow gc would erase its artifact. Restore the run first."
    )
    house.client("admin").restore_run(run_id)
    house.client("admin").delete_logged_model(source.removeprefix("models:/"))
    with pytest.raises(registry.RefusedError, match="The logged model it comes from is deleted in MLflow"):
        house.decide("ann", Act.REQUEST, model, 1)
    assert house.stages(model) == {1: "None"}


def test_a_model_logged_in_a_run_keeps_its_run(house: House, model: str) -> None:
    """As older clients register, by the path of a folder in a run."""
    at = house.at("ann")
    run_id = house.log("ann")[1]
    folder = house.folder_of(house.register(new_name("tiny")))
    at.client.log_artifacts(run_id, str(folder), "model")
    path = f"mlflow-artifacts:/0/{run_id}/artifacts/model"
    at.client.create_registered_model(model)
    answer = house.mlflow("ann", "POST", "model-versions/create", name=model, source=path, run_id=run_id)
    assert answer.status_code == 200, answer.text
    validate_tiny(at, registry.find_version(at, model, 1))
    house.decide("ann", Act.REQUEST, model, 1)
    with pytest.raises(MlflowException, match="Production comes from this run"):
        house.client("admin").delete_run(run_id)


# Every guard is there


def test_the_same_guards_on_both_engines(house: House) -> None:
    assert install.find_problems(house.database) == []
    names = {trigger.name for trigger in guards.TRIGGERS}
    assert len(names) == len(guards.TRIGGERS)


@pytest.mark.parametrize("trigger", guards.TRIGGERS, ids=lambda t: t.name)
def test_doctor_names_a_guard_that_is_gone(house: House, trigger: triggers.Guard | triggers.Keeper) -> None:
    with rolled_back(house) as connection:
        house.drop_guard(connection, trigger.name, trigger.table)
        assert install._problems(connection) == [f"The trigger {trigger.name} is missing."]
