"""`init`, `doctor` and `verify` on databases that MLflow has used before, and on ledgers somebody edited."""

from __future__ import annotations

import re
import shutil
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from needs import need_postgresql
from review_house import ENGINES, new_name

from deploy.credentials import LEDGER_BUCKET
from deploy.postgresql import PostgresServer
from registry import Line
from registry.__main__ import main
from registry.heads import Heads
from registry.ledger import Head, find_faults
from registry.server import guards, operate, tables
from registry.server.store import GreenroomStore
from storage import Store

pytest_plugins = ["review_fixtures"]

MODEL, OTHER, PROMPT = "delays", "empty", "greeting"


@pytest.fixture(scope="session")
def sqlite_used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("used") / "used.db"
    use(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgresql_used(new_database: Callable[[str], str]) -> str:
    name = new_name("used")
    use(new_database(name))
    return name


def use(uri: str) -> None:
    """A registry as a stock MLflow leaves it: three versions, one in Production, and a prompt."""
    client: Any = MlflowClient(uri, uri)
    client.create_registered_model(MODEL)
    client.create_registered_model(OTHER)
    for _ in range(3):
        client.create_model_version(MODEL, "s3://bucket/model", await_creation_for=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # MLflow's, of stages
        client.transition_model_version_stage(MODEL, "2", "Production")
        client.transition_model_version_stage(MODEL, "3", "Staging")
    client.set_registered_model_alias(MODEL, "production", "1")
    client.register_prompt(PROMPT, "Hello {{name}}")
    client.set_prompt_alias(PROMPT, "production", 1)
    SqlAlchemyStore(uri)._dispose_engine()
    for store in (client._get_registry_client().store, client._tracking_client.store):
        store._dispose_engine()


@pytest.fixture(params=ENGINES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A copy of it; returns its address."""
    if request.param == "sqlite":
        return f"sqlite:///{shutil.copy(request.getfixturevalue('sqlite_used'), tmp_path)}"
    need_postgresql()
    server: PostgresServer = request.getfixturevalue("postgresql")
    name = new_name("copy")
    template = request.getfixturevalue("postgresql_used")
    engine = sa.create_engine(server.uri("postgres"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.execute(sa.text(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
    return server.uri(name)


def sql(uri: str, *statements: str) -> list[Any]:
    engine = sa.create_engine(uri, poolclass=sa.NullPool)
    with engine.begin() as connection:
        for statement in statements:
            done = connection.exec_driver_sql(statement)
        return [*done] if done.returns_rows else []


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[str]]:
    capsys.readouterr()
    code = main([*arguments])
    said = capsys.readouterr()
    return code, [re.sub(r"\s+", " ", line) for line in (said.out + said.err).splitlines()]


def prompts(uri: str) -> list[list[Any]]:
    return [
        sql(uri, f"SELECT * FROM {table} WHERE name = '{PROMPT}' ORDER BY 1, 2, 3")
        for table in (
            "registered_models",
            "model_versions",
            "registered_model_tags",
            "model_version_tags",
            "registered_model_aliases",
        )
    ]


def test_a_registry_that_was_used_before(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = prompts(database)
    code, said = run(capsys, "doctor", database)
    assert code == 1
    assert "The table greenroom_ledger is missing." in said
    assert said[-1].startswith("Run: python -m registry init ")
    with pytest.raises(MlflowException, match="Greenroom is not whole in this database") as refused:
        GreenroomStore(f"greenroom+{database}")
    assert "Run: python -m registry init " in str(refused.value)
    assert (sa.make_url(database).password or "no password") not in str(refused.value)

    code, said = run(capsys, "init", database)
    assert code == 0
    for version, stage in ((1, "None"), (2, "Production"), (3, "Staging")):
        assert f"Adopted: {MODEL} version {version}, in {stage}" in said
    assert (
        f"Repaired: The alias production of {MODEL} names version 1, and version 2 is in Production." in said
    )
    assert run(capsys, "doctor", database) == (0, ["All tables and guards are there"])
    assert run(capsys, "init", database) == (0, ["Nothing was missing"])
    GreenroomStore(f"greenroom+{database}")._dispose_engine()
    # Prompts are as they were, and have no lines.
    assert prompts(database) == before
    lines = operate.read_ledger(database)
    assert [(line.by, str(line.action), line.model, line.version) for line in lines] == [
        ("init", "registered", MODEL, version) for version in (1, 2, 3)
    ]
    assert {line.reason for line in lines} == {"found in the registry when Greenroom was installed"}
    assert run(capsys, "verify", "--database", database)[0] == 0


def test_two_in_production(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    sql(database, "UPDATE model_versions SET current_stage = 'Production' WHERE version = 3")
    before = {*sa.inspect(sa.create_engine(database, poolclass=sa.NullPool)).get_table_names()}
    code, said = run(capsys, "init", database)
    assert code == 1
    assert " ".join(said) == (
        f"registry: Expected at most one version of a model in Production, and {MODEL} has 2. Archive all but"
        " one with MLflow, then run it again"
    )
    assert {*sa.inspect(sa.create_engine(database, poolclass=sa.NullPool)).get_table_names()} == before
    sql(database, "UPDATE model_versions SET current_stage = 'Archived' WHERE version = 2")
    assert run(capsys, "init", database)[0] == 0


def test_long_names_are_adopted(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    name = "x" * 250
    sql(
        database,
        f"INSERT INTO registered_models (name) VALUES ('{name}')",
        f"INSERT INTO model_versions (name, version, current_stage) VALUES ('{name}', 1, 'None')",
    )
    code, said = run(capsys, "init", database)
    assert code == 0
    assert f"Adopted: {name} version 1, in None" in said


@pytest.mark.parametrize("gone", ["table", "row", "trigger", "altered", "index"])
def test_what_is_missing_is_named_and_put_back(
    database: str, capsys: pytest.CaptureFixture[str], gone: str
) -> None:
    """As `mlflow db upgrade` may leave it, which makes tables anew."""
    operate.init(database)
    guard = next(g for g in guards.TRIGGERS if g.name == "greenroom_staged_not_erased")
    where = "" if database.startswith("sqlite") else f" ON {guard.table}"
    drop, altered = f"DROP TRIGGER {guard.name}{where}", "SELECT 1"
    if database.startswith("sqlite"):
        made = f"BEFORE DELETE ON {guard.table} FOR EACH ROW WHEN 1 = 0 BEGIN SELECT 1; END"
        altered = f"CREATE TRIGGER {guard.name} {made}"
    else:
        drop_all = f"ALTER TABLE {guard.table} DISABLE TRIGGER {guard.name}"
        altered = drop_all
    statements, said = {
        "table": (["DROP TABLE greenroom_lock"], "The table greenroom_lock is missing."),
        "row": (["DELETE FROM greenroom_lock"], "The row of the table greenroom_lock is missing."),
        "trigger": ([drop], f"The trigger {guard.name} is missing."),
        "altered": (
            [drop, altered] if database.startswith("sqlite") else [altered],
            f"The trigger {guard.name} is not the one that belongs there, or is switched off.",
        ),
        "index": (
            [f"DROP INDEX {guards.ONE_IN_PRODUCTION}"],
            f"The index {guards.ONE_IN_PRODUCTION} is missing.",
        ),
    }[gone]
    sql(database, *statements)
    code, found = run(capsys, "doctor", database)
    assert (code, found[0]) == (1, said)
    with pytest.raises(MlflowException, match="Run: python -m registry init"):
        GreenroomStore(f"greenroom+{database}")
    code, found = run(capsys, "init", database)
    assert (code, found) == (0, [f"Repaired: {said}"])
    assert run(capsys, "doctor", database)[0] == 0


def test_only_a_truncate_guard_is_gone(database: str) -> None:
    operate.init(database)
    if database.startswith("postgresql"):
        sql(database, "DROP TRIGGER greenroom_ledger_no_delete_all ON greenroom_ledger")
        assert operate.doctor(database)[0] == "The trigger greenroom_ledger_no_delete_all is missing."
        assert operate.init(database) == ["Repaired: The trigger greenroom_ledger_no_delete_all is missing."]
        with pytest.raises(sa.exc.DBAPIError, match="only ever added to"):
            sql(database, "TRUNCATE greenroom_ledger")


def test_an_index_of_that_name_that_is_none(database: str) -> None:
    operate.init(database)
    name = guards.ONE_IN_PRODUCTION
    sql(database, f"DROP INDEX {name}", f"CREATE INDEX {name} ON model_versions (name)")
    assert operate.doctor(database)[0] == f"The index {name} is not the one that belongs there."
    assert operate.init(database) == [f"Repaired: The index {name} is not the one that belongs there."]
    assert operate.doctor(database) == []


@pytest.mark.parametrize("schema", ["acf3f17fdcc7", "0123456789ab"], ids=["older", "unknown"])
def test_another_schema_of_mlflow(database: str, capsys: pytest.CaptureFixture[str], schema: str) -> None:
    sql(database, f"UPDATE alembic_version SET version_num = '{schema}'")
    code, said = run(capsys, "init", database)
    assert code == 1
    assert said[0].startswith("registry: MLflow cannot use ")
    assert "mlflow db upgrade" in said[0]
    with pytest.raises(MlflowException, match="mlflow db upgrade"):
        GreenroomStore(f"greenroom+{database}")


# A ledger that somebody edited


@pytest.mark.parametrize(
    ("statements", "fault"),
    [
        (
            ["UPDATE greenroom_ledger SET reason = 'no' WHERE number = 2"],
            "Line 2 was altered: delays version 2",
        ),
        (
            ["UPDATE greenroom_ledger SET \"by\" = 'rita' WHERE number = 1"],
            "Line 1 was altered: delays version 1",
        ),
        (
            ["UPDATE greenroom_ledger SET at = '2020-01-01T00:00:00.000Z' WHERE number = 3"],
            "Line 3 was altered",
        ),
        (["UPDATE greenroom_ledger SET evidence = '{\"a\": 1}' WHERE number = 3"], "Line 3 was altered"),
        (["UPDATE greenroom_ledger SET hash = 'x' WHERE number = 3"], "Line 3 was altered"),
        (["DELETE FROM greenroom_ledger WHERE number = 1"], "The ledger goes from 0 to 2: line 1 missing."),
        (["DELETE FROM greenroom_ledger WHERE number = 2"], "The ledger goes from 1 to 3: line 2 missing."),
        (
            [
                "UPDATE greenroom_ledger SET number = 9 WHERE number = 1",
                "UPDATE greenroom_ledger SET number = 1 WHERE number = 2",
                "UPDATE greenroom_ledger SET number = 2 WHERE number = 9",
            ],
            "Line 1 does not follow from line 0: delays version 2",
        ),
    ],
)
def test_an_altered_line_is_named(
    database: str, capsys: pytest.CaptureFixture[str], statements: list[str], fault: str
) -> None:
    operate.init(database)
    assert run(capsys, "verify", "--database", database)[0] == 0
    where = "" if database.startswith("sqlite") else " ON greenroom_ledger"
    names = ["no_update", "no_delete", "at_the_end"]
    sql(database, *(f"DROP TRIGGER greenroom_ledger_{name}{where}" for name in names), *statements)
    code, said = run(capsys, "verify", "--database", database)
    assert code == 1
    assert any(line.startswith(fault) for line in said), said


def test_a_cut_tail_and_a_rewritten_ledger(
    database: str, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    """A chain cannot show them; its heads, kept in a bucket that keeps versions, do."""
    operate.init(database)
    heads = Heads(store, f"s3://{LEDGER_BUCKET}/{new_name('heads')}")
    lines = operate.read_ledger(database)
    for line in lines[1:]:
        heads.keep(Head(line.number, line.hash))
    assert find_faults(lines, heads.read()) == []
    # Also where somebody tidies the bucket up.
    for uri in store.list_ever(heads.uri):
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        store.client.delete_object(Bucket=bucket, Key=key)
    assert len(heads.read()) == 2

    cut = ["DELETE FROM greenroom_ledger WHERE number = 3", "DELETE FROM model_versions WHERE version = 3"]
    where = "" if database.startswith("sqlite") else " ON greenroom_ledger"
    of_versions = "" if database.startswith("sqlite") else " ON model_versions"
    drop = [f"DROP TRIGGER greenroom_ledger_no_delete{where}"]
    drop += [f"DROP TRIGGER greenroom_staged_not_erased{of_versions}"]
    sql(database, *drop, *cut)
    operate.init(database)
    assert run(capsys, "verify", "--database", database)[0] == 0
    assert find_faults(operate.read_ledger(database), heads.read()) == [
        "The ledger ends at line 2, and line 3 was known: its tail was cut."
    ]

    engine = sa.create_engine(database, poolclass=sa.NullPool)
    forged = rewritten(operate.read_ledger(database))
    edited = [f"DROP TRIGGER greenroom_ledger_{name}{where}" for name in ("no_update", "no_delete")]
    sql(database, *edited, "DELETE FROM greenroom_ledger")
    with sa.orm.Session(engine) as session:
        for line in forged:
            said = {k: v for k, v in line.to_plain().items() if k not in {"number", "previous", "hash"}}
            tables.append(
                session,
                **{**said, "action": line.action, "from_stage": line.from_stage, "to_stage": line.to_stage},
            )
        session.commit()
    assert run(capsys, "verify", "--database", database)[0] == 0
    assert find_faults(operate.read_ledger(database), heads.read())[0].startswith(
        "Line 2 is not the one that was known then ("
    )


def rewritten(lines: list[Line]) -> list[Line]:
    return [replace(line, by="rita") for line in lines]


# What an operator may type


@pytest.mark.parametrize("verb", ["init", "doctor"])
@pytest.mark.parametrize(
    ("uri", "code", "said"),
    [
        ("mysql://user:secret@host/db", 1, "The database is 'mysql', expected sqlite or postgresql"),
        ("http://host:5000", 1, "expected sqlite or postgresql"),
        ("nothing", 1, "is no database URI"),
        ("", 1, "is no database URI"),
        (
            "postgresql+psycopg://user:secret@127.0.0.1:9/db",
            75,
            "Could not use postgresql+psycopg://user:***@",
        ),
    ],
)
def test_what_is_no_database(
    capsys: pytest.CaptureFixture[str], verb: str, uri: str, code: int, said: str
) -> None:
    found, lines = run(capsys, verb, uri)
    assert found == code, lines
    assert said in lines[-1]
    assert "secret" not in " ".join(lines)


def test_doctor_makes_no_database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = run(capsys, "doctor", f"sqlite:///{tmp_path / 'none.db'}")
    assert (code, said) == (
        1,
        [f"registry: There is no file {tmp_path / 'none.db'}; expected the database of an MLflow server"],
    )
    assert [*tmp_path.iterdir()] == []
    (tmp_path / "empty.db").touch()
    code, said = run(capsys, "doctor", f"sqlite:///{tmp_path / 'empty.db'}")
    assert code == 1
    assert said[0].startswith("There is no MLflow registry in it yet. Run: python -m registry init")
