"""Putting our tables and guards into an MLflow database, and finding out whether they are still there.

`mlflow db upgrade` may make a table anew, and its triggers are gone then: `doctor` says so, `init` puts
them back.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.orm import Session

from registry.errors import RegistryError
from registry.ledger import Action
from registry.server import tables
from registry.server.agreement import align_aliases
from registry.server.events.tables import metadata as events
from registry.server.guards import ONE_IN_PRODUCTION, ONE_IN_PRODUCTION_SQL, TRIGGERS
from registry.stages import Stage

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

# What MLflow calls a version that was deleted.
DELETED = "Deleted_Internal"

_LOCK_ROWS = sa.select(sa.func.count()).select_from(tables.LOCK)


def find_problems(engine: Engine) -> list[str]:
    """Say what is missing or altered, one sentence each; nothing where all is well."""
    with engine.connect() as connection:
        return _problems(connection)


def is_untouched(engine: Engine) -> bool:
    """Whether Greenroom was never installed here, and no version is registered yet."""
    if sa.inspect(engine).has_table(tables.LEDGER.name):
        return False
    with engine.connect() as connection:
        return not connection.execute(sa.text("SELECT count(*) FROM model_versions")).scalar_one()


def install(engine: Engine, at: str) -> list[str]:
    """Create what is missing, replace what was altered; return what was done. `at` is the time.

    Versions that were registered before get a first line each, so that their history begins with what
    was found, and the alias `production` is made equal to the stage. Raises `RegistryError` where a model
    has two versions in Production.
    """
    with engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            # Its driver begins a transaction with the first row written, and not before a table is made.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        _refuse_two_in_production(connection)
        before = _problems(connection)
        is_new = not sa.inspect(connection).has_table(tables.LEDGER.name)
        tables.metadata.create_all(connection)
        events.create_all(connection)
        if not connection.scalar(_LOCK_ROWS):
            connection.execute(sa.insert(tables.LOCK).values(id=1, taken=0))
        _make_triggers(connection)
        if _of_index(connection):
            connection.execute(sa.text(f"DROP INDEX IF EXISTS {ONE_IN_PRODUCTION}"))
            connection.execute(sa.text(ONE_IN_PRODUCTION_SQL))
        adopted = [*_adopt(connection, at), *align_aliases(connection)]
        left = _problems(connection)
    if left:
        raise RegistryError(f"The installation is not whole: {' '.join(left)}")
    if is_new:
        return [f"Installed: {len(TRIGGERS)} triggers, the ledger and what goes with it.", *adopted]
    return [*(f"Repaired: {problem}" for problem in before), *adopted]


def _problems(connection: Connection) -> list[str]:
    present = set(sa.inspect(connection).get_table_names())
    ours = [*tables.metadata.sorted_tables, *events.sorted_tables]
    found = [f"The table {table.name} is missing." for table in ours if table.name not in present]
    if tables.LOCK.name in present and not connection.scalar(_LOCK_ROWS):
        found.append(f"The row of the table {tables.LOCK.name} is missing.")
    found += _of_index(connection)
    expected = _expected(connection)
    made = _made(connection)
    for name, text in expected.items():
        if name not in made:
            found.append(f"The trigger {name} is missing.")
        elif made[name] != text:
            found.append(f"The trigger {name} is not the one that belongs there, or is switched off.")
    return found


def _expected(connection: Connection) -> dict[str, str]:
    if connection.dialect.name == "sqlite":
        return {t.name: t.sqlite() for t in TRIGGERS}
    return {name: f"{made} {t.body}" for t in TRIGGERS for name, made in t.postgresql().items()}


def _made(connection: Connection) -> dict[str, str]:
    if connection.dialect.name == "sqlite":
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'greenroom%'"
    else:
        query = (
            "SELECT t.tgname, CASE WHEN t.tgenabled IN ('O', 'A')"
            " THEN pg_get_triggerdef(t.oid, true) || ' ' || p.prosrc ELSE '' END"
            " FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid WHERE t.tgname LIKE 'greenroom%'"
        )
    return {name: text for name, text in connection.execute(sa.text(query))}  # noqa: C416  # rows are no pairs


def _of_index(connection: Connection) -> list[str]:
    for index in sa.inspect(connection).get_indexes("model_versions"):
        if index["name"] == ONE_IN_PRODUCTION:
            where = str(index.get("dialect_options", {}).get(f"{connection.dialect.name}_where"))
            if index["unique"] and index["column_names"] == ["workspace", "name"] and "'Production'" in where:
                return []
            return [f"The index {ONE_IN_PRODUCTION} is not the one that belongs there."]
    return [f"The index {ONE_IN_PRODUCTION} is missing."]


def _make_triggers(connection: Connection) -> None:
    made = _made(connection)
    expected = _expected(connection)
    for trigger in TRIGGERS:
        if connection.dialect.name == "sqlite":
            names = {trigger.name}
            statements = [f"DROP TRIGGER IF EXISTS {trigger.name}", trigger.sqlite()]
        else:
            names = {*trigger.postgresql()}
            statements = [
                f"DROP FUNCTION IF EXISTS {trigger.name}() CASCADE",
                f"CREATE FUNCTION {trigger.name}() RETURNS trigger LANGUAGE plpgsql AS $${trigger.body}$$",
                *trigger.postgresql().values(),
            ]
        if all(made.get(name) == expected[name] for name in names):
            continue
        for statement in statements:
            connection.exec_driver_sql(statement)


def _refuse_two_in_production(connection: Connection) -> None:
    query = (
        "SELECT name, count(*) FROM model_versions WHERE current_stage = 'Production'"
        " GROUP BY workspace, name HAVING count(*) > 1"
    )
    several = [f"{name} has {count}" for name, count in connection.execute(sa.text(query))]
    if several:
        raise RegistryError(
            f"Expected at most one version of a model in Production, and {', '.join(several)}. Archive all"
            " but one with MLflow, then run it again"
        )


def _adopt(connection: Connection, at: str) -> list[str]:
    query = (
        "SELECT v.name, v.version, v.current_stage, v.user_id FROM model_versions v"
        " WHERE v.current_stage <> :deleted AND NOT EXISTS (SELECT 1 FROM registered_model_tags t"
        " WHERE t.name = v.name AND t.key = 'mlflow.prompt.is_prompt' AND lower(t.value) = 'true')"
        " AND NOT EXISTS (SELECT 1 FROM greenroom_ledger l WHERE l.model = v.name AND l.version = v.version)"
        " ORDER BY v.name, v.version"
    )
    found = connection.execute(sa.text(query), {"deleted": DELETED}).all()
    with Session(bind=connection, join_transaction_mode="create_savepoint") as session:
        for name, version, stage, author in found:
            tables.append(
                session,
                at=at,
                by="init",
                action=Action.REGISTERED,
                model=name,
                version=version,
                from_stage=Stage(stage),
                to_stage=Stage(stage),
                reason="found in the registry when Greenroom was installed",
                digest=None,
                evidence={"author": author},
                attempt=str(uuid.uuid4()),
            )
        session.commit()
    return [f"Adopted: {name} version {version}, in {stage}" for name, version, stage, _ in found]
