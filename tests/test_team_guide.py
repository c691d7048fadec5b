"""Every command of docs/team.md runs here, in its order, on a real PostgreSQL and a real S3.

The fixtures are the guide's sections; each leans on the one before, as its reader does.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import string
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import groupby
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import requests
import sqlalchemy as sa
from commands import REPOSITORY, Ran
from needs import need_postgresql
from sqlalchemy.orm import Session

import registry
from deploy import processes, watchdog
from deploy.ports import LOOPBACK, free_ports
from deploy.postgresql import USER, running_postgresql
from deploy.service import comes_to_answer
from registry import Act, ModelVersion, RefusedError, Registry, RegistryError
from registry.__main__ import main
from registry.rules import Rules
from registry.server import decisions, tables
from registry.server.decisions import Asked
from registry.server.guards import TRIGGERS
from registry.server.identity import Actor
from storage import S3Settings

GUIDE = (REPOSITORY / "docs" / "team.md").read_text()
REGISTRY = "python -m registry "
# What would be somebody's real machine, if a name in the guide were left as it is.
FOREIGN = re.compile(r"/etc/|/opt/|/srv/|db\.example|hooks\.example|YOUR-|PGUSER=postgres")
NOTHING: Mapping[str, str] = {}
# Each imports MLflow; that several agree is what the tests of review hold.
WORKERS = 2 if os.environ.get("GREENROOM_EXHAUSTIVE") else 1


def blocks(section: str, language: str = "sh") -> list[str]:
    found = re.search(rf"^## {section}\n(.*?)(?=^## |\Z)", GUIDE, re.MULTILINE | re.DOTALL)
    assert found, f"the guide has no section {section}"
    return re.findall(rf"^```{language}\n(.*?)^```", found[1], re.MULTILINE | re.DOTALL)


@dataclass
class Shell:
    """One shell, in which somebody types the guide's blocks with their own names in place of its own."""

    folder: Path
    names: dict[str, str]
    environment: dict[str, str]
    typed: list[str] = field(default_factory=list)

    def type(self, block: str, also: Mapping[str, str] = NOTHING, *, in_processes: bool = False) -> Ran:
        """Run a block; its exports stay. Stops at the first command that fails.

        `python -m registry` runs inside this process, where its imports are paid once; with
        `in_processes`, `init` does not: it keeps connections open, as long as its process lives.
        """
        self.typed.append(block)
        text, said, warned = self.named(block, also), "", ""
        lines = text.splitlines()
        for ours, group in groupby(
            lines, lambda line: line.startswith(REGISTRY) and not (in_processes and " init " in line)
        ):
            for command in [*group] if ours else ["\n".join(group)]:
                ran = self._registry(command) if ours else self._bash(command)
                said, warned = said + ran.out, warned + ran.err
                if ran.code:
                    return Ran(ran.code, said, warned)
        return Ran(0, said, warned)

    def named(self, block: str, also: Mapping[str, str] = NOTHING) -> str:
        for name, own in {**self.names, **also}.items():
            block = block.replace(name, own)
        assert not FOREIGN.search(block), f"a name of the guide was left in: {block}"
        return block

    def _registry(self, command: str) -> Ran:
        words = shlex.split(string.Template(command).substitute(self.environment), comments=True)
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, self.environment, clear=True),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = main(words[3:])
        return Ran(code, out.getvalue(), err.getvalue())

    def _bash(self, command: str) -> Ran:
        after = self.folder / "environment"
        script = f"set -euo pipefail\n{command}\nenv -0 > {after}"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=REPOSITORY,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode == 0:
            pairs = (pair.partition("=") for pair in after.read_text().split("\0") if pair)
            self.environment = {name: value for name, _, value in pairs if name not in ("_", "SHLVL")}
        return Ran(done.returncode, done.stdout, done.stderr)

    def psql(self, sql: str, database: str = "mlflow", user: str = USER) -> Ran:
        return self._bash(f"psql -qAtX -v ON_ERROR_STOP=1 -U {user} -d {database} -c {shlex.quote(sql)}")

    def registry(self, command: str) -> Ran:
        """Type a registry command that is not one of the guide's."""
        return self._registry(f"{REGISTRY}{command}")


@dataclass
class Server:
    """The guide's server, as its Start section starts it."""

    shell: Shell
    port: int
    marker: str

    @property
    def log(self) -> Path:
        return self.shell.folder / "server.log"

    def start(self) -> None:
        (block,) = blocks("Start")
        self.shell.typed.append(block)
        # A shell of its own, on the server.
        process = processes.spawn(
            ["bash", "-euc", self.shell.named(block, {"--workers 4": f"--workers {WORKERS}"})],
            marker=self.marker,
            environment=self.shell.environment,
            folder=self.shell.folder,
            log=self.log,
        )
        ready = comes_to_answer(process, self.port, "/health", 120)
        assert ready, self.log.read_text()[-3000:]

    def stop(self) -> None:
        processes.stop(self.marker)

    def at(self, login: str) -> Registry:
        password = "ADMIN-PASSWORD" if login == "admin" else f"{login}-FIRST-PASSWORD"
        uri = f"http://{login}:{password}@{LOOPBACK}:{self.port}"
        return registry.connect(
            {"MLFLOW_TRACKING_URI": uri, "GREENROOM_CACHE_DIR": str(self.shell.folder / "cache")}
        )

    def call(self, login: str, method: str, path: str, **sent: Any) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            session.auth = (login, f"{login}-FIRST-PASSWORD")
            return session.request(method, f"http://{LOOPBACK}:{self.port}{path}", timeout=60, **sent)


@dataclass
class Receiver:
    """Keeps what it got: headers and body."""

    port: int
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture(scope="module")
def shell(s3: S3Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    need_postgresql()
    folder = tmp_path_factory.mktemp("team")
    (folder / "home").mkdir()
    with running_postgresql() as server:
        [port] = free_ports(1)
        (folder / "home" / ".pgpass").write_text(f"{LOOPBACK}:{server.port}:*:{USER}:{server.password}\n")
        (folder / "home" / ".pgpass").chmod(0o600)
        names = {
            "PGHOST=db.example.com PGPORT=5432 PGUSER=postgres": (
                f"PGHOST={LOOPBACK} PGPORT={server.port} PGUSER={USER}"
            ),
            "db.example.com:5432": f"{LOOPBACK}:{server.port}",
            "TRACKING_URI=https://mlflow.example.com": f"TRACKING_URI=http://{LOOPBACK}:{port}",
            "--allowed-hosts mlflow.example.com": f"--allowed-hosts mlflow.example.com,{LOOPBACK}:{port}",
            "--port 5000": f"--port {port}",
            "/etc/greenroom": str(folder / "settings"),
            "YOUR-ARTIFACTS": "team-artifacts",
            "YOUR-HEADS": "team-heads",
            "logins.dump": str(folder / "logins.dump"),
            "mlflow.dump": str(folder / "mlflow.dump"),
        }
        assert s3.endpoint
        assert s3.access_key_id
        assert s3.secret_access_key
        environment = {
            "PATH": f"{Path(sys.executable).parent}:{server.binaries}:{os.environ['PATH']}",
            # libpq's password file lies there.
            "HOME": str(folder / "home"),
            "AWS_ENDPOINT_URL_S3": s3.endpoint,
            "AWS_REGION": s3.region,
            "AWS_DEFAULT_REGION": s3.region,
            "AWS_ACCESS_KEY_ID": s3.access_key_id,
            "AWS_SECRET_ACCESS_KEY": s3.secret_access_key,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true",
        }
        # For commands that run here: libpq knows the environment of the process, and not that of Python.
        os.putenv("PGPASSFILE", str(folder / "home" / ".pgpass"))
        yield Shell(folder, names, environment)
        os.unsetenv("PGPASSFILE")


@pytest.fixture(scope="module")
def installed(shell: Shell) -> tuple[Ran, ...]:
    """The buckets and the databases, with what `init` and `doctor` said."""
    (buckets,) = blocks("Buckets")
    databases, init = blocks("Databases")
    return tuple(shell.type(block, in_processes=True) for block in (buckets, databases, init))


@pytest.fixture(scope="module")
def server(shell: Shell, installed: tuple[Ran, ...]) -> Iterator[Server]:
    assert [ran.code for ran in installed] == [0, 0, 0], installed
    (settings,) = blocks("Settings")
    made = shell.type(settings)
    assert made.code == 0, made.err
    allowed = "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS=true", "MLFLOW_WEBHOOK_ALLOWED_SCHEMES=https,http"
    with (shell.folder / "settings" / "server.env").open("a") as file:
        for line in allowed:
            assert f"`{line}`" in GUIDE
            file.write(f"{line}\n")
    port = int(shell.names["--port 5000"].split()[1])
    found = Server(shell, port, f"team:{shell.folder}")
    with watchdog.stopping(found.marker):
        found.start()
        yield found


@pytest.fixture(scope="module")
def people(server: Server) -> Server:
    (block,) = blocks("People")
    ran = server.shell.type(block)
    assert ran.code == 0, ran.err
    return server


@pytest.fixture(scope="module")
def first(people: Server) -> ModelVersion:
    """A version that ann trained, val validated, and ann asked for."""
    helpers = str(REPOSITORY / "tests" / "registry")
    with mock.patch.object(sys, "path", [*sys.path, helpers]):
        from tiny_versions import register_tiny, validate_tiny
    with everything_at(people.at("ann")) as ann:
        version = register_tiny(ann, "tiny")
    validate_tiny(people.at("val"), version)
    registry.decide(people.at("ann"), Act.REQUEST, "tiny", 1, "passes all gates")
    return version


@pytest.fixture(scope="module")
def live(people: Server, first: ModelVersion) -> tuple[Ran, Ran]:
    """It in Production: what rita saw, and what her approval said."""
    (block,) = blocks("First model")
    assert first.version == 1
    return people.shell.type(block), people.shell.registry("approve tiny 1 --reason 'calibration looked at'")


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.got.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    listening = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    found = Receiver(listening.server_port)
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    yield found
    listening.shutdown()
    listening.server_close()
    thread.join()


@pytest.fixture(scope="module")
def hooked(people: Server, first: ModelVersion, live: tuple[Ran, Ran], receiver: Receiver) -> Receiver:
    """The webhook, and a second version in Production, which it was told of."""
    assert [ran.code for ran in live] == [0, 0], live
    (block,) = blocks("Webhooks")
    url = f"http://{LOOPBACK}:{receiver.port}/hook"
    made = people.shell.type(block, {"https://hooks.example.com/greenroom": url})
    assert made.code == 0, made.err
    assert first.run_id
    second = registry.register(people.at("ann"), "tiny", first.source, first.run_id)
    verdict = registry.Validation(
        passed=True,
        digest=second.digest or "",
        run_id=first.run_id,
        metrics={"auc": 0.71},
        reasons=("auc is 0.71",),
    )
    registry.record_validation(people.at("val"), second, verdict)
    registry.decide(people.at("ann"), Act.REQUEST, "tiny", 2, "newer")
    registry.decide(people.at("rita"), Act.APPROVE, "tiny", 2, "seen")
    wait_until(lambda: len(receiver.got) == 5, "five events arrive")
    return receiver


@pytest.fixture(scope="module")
def watched(people: Server, hooked: Receiver) -> Ran:
    assert hooked.got
    (block,) = blocks("Watch")
    wait_until(lambda: f"/{11:012d}-" in heads(people.shell), "the newest head is kept")
    return people.shell.type(block)


@dataclass(frozen=True)
class Restored:
    """What the restored databases said: made of the newest state, and of one before the last decision."""

    newest: Ran
    older: Ran
    started_again: Ran


@pytest.fixture(scope="module")
def restored(people: Server, watched: Ran) -> Restored:
    assert watched.code == 0, watched.err
    shell = people.shell
    (backup,) = blocks("Back up")
    restore, exchange = blocks("Restore")
    assert shell.type(backup).code == 0
    newest = shell.type(restore)
    drop = shell._bash("dropdb mlflow_new && dropdb mlflow_logins_new")
    assert drop.code == 0, drop.err
    registry.decide(people.at("rita"), Act.ROLLBACK, "tiny", None, "after the backup")
    number = len([*registry.read_history(people.at("rita"))])
    wait_until(lambda: f"/{number:012d}-" in heads(shell), "the head of the rollback is kept")
    older = shell.type(restore)
    people.stop()
    exchanged = shell.type(exchange)
    assert exchanged.code == 0, exchanged.err
    settings = shell.folder / "settings" / "server.env"
    new_folder = "GREENROOM_LEDGER_HEADS=s3://YOUR-HEADS/heads-2"
    assert new_folder in GUIDE
    with settings.open("a") as file:
        file.write(f"{shell.named(new_folder)}\n")
    shell.type(f"export {new_folder}")
    people.start()
    wait_until(lambda: "-2/" in heads(shell), "the head of the restored ledger is kept")
    return Restored(newest, older, shell.registry("verify"))


@pytest.fixture(scope="module")
def upgraded(people: Server, restored: Restored) -> Ran:
    assert restored.older.code == 1
    people.stop()
    (block,) = blocks("Upgrade")
    return people.shell.type(block)


@pytest.fixture(scope="module")
def adopted(shell: Shell, installed: tuple[Ran, ...]) -> tuple[Ran, Ran, Ran]:
    """A stock registry: `init` that refuses, what mends it, `init` that adopts it."""
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore

    assert installed
    assert shell._bash("createdb -O greenroom_owner stock").code == 0
    before = dict(shell.environment)
    stock = {**before, "OWNER": before["OWNER"].replace("/mlflow", "/stock")}
    with mock.patch.dict(os.environ, stock, clear=True):
        store = SqlAlchemyStore(stock["OWNER"])
        store.create_registered_model("churn")
        for stage in ("Production", "Production", "Staging", "None"):
            made = store.create_model_version("churn", "s3://team-artifacts/churn")
            store.transition_model_version_stage(
                "churn", made.version, stage, archive_existing_versions=False
            )
        store.set_registered_model_alias("churn", "production", "4")
    shell.environment = stock
    init, mend, let_in = blocks("Adopt a stock MLflow registry")
    ran = shell.type(init), shell.type(mend), shell.type(init)
    done = shell.type(let_in, {"-d mlflow ": "-d stock "})
    assert done.code == 0, done.err
    shell.environment = before
    return ran


@contextlib.contextmanager
def everything_at(there: Registry) -> Iterator[Registry]:
    """Send there what MLflow sends to wherever it was last told to, for the length of a block."""
    with (
        mock.patch.dict(os.environ, {"MLFLOW_TRACKING_URI": there.uri}),
        mock.patch("mlflow.tracking._tracking_service.utils._tracking_uri", None),
        mock.patch("mlflow.tracking.fluent._active_experiment_id", None),
    ):
        # `mlflow.set_experiment` leaves the number of an experiment there, of the server it knew.
        os.environ.pop("MLFLOW_EXPERIMENT_ID", None)
        yield there


def wait_until(true: Any, what: str, seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, f"not within {seconds} s: {what}"
        time.sleep(0.1)


def heads(shell: Shell) -> str:
    from storage import Store

    store = Store.connect(S3Settings.from_environment(shell.environment))
    return "\n".join(store.list_ever(shell.environment["GREENROOM_LEDGER_HEADS"]))


def test_what_is_installed_is_whole(tmp_path: Path) -> None:
    # The wheel that `pip install '.[postgresql]'` makes, from a copy: a build leaves things behind.
    leave = shutil.ignore_patterns(".*", "*.db", "tests", "__pycache__", "*.egg-info", "build")
    shutil.copytree(REPOSITORY, tmp_path / "source", ignore=leave)
    (install,) = blocks("Install")
    assert "pip install '.[postgresql]'" in install
    build = ["-m", "pip", "-q", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w"]
    done = subprocess.run(
        [sys.executable, *build, str(tmp_path), str(tmp_path / "source")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (about,) = (archive.read(name).decode() for name in names if name.endswith("/METADATA"))
    assert 'Requires-Dist: psycopg[binary]>=3.2; extra == "postgresql"' in about
    needed = [path for path in (REPOSITORY / "registry").rglob("*") if path.is_file()]
    for path in needed:
        name = path.relative_to(REPOSITORY).as_posix()
        assert name in names or "__pycache__" in name, f"{name} is not in the wheel"


def test_init_says_what_it_made(installed: tuple[Ran, ...]) -> None:
    assert [ran.code for ran in installed] == [0, 0, 0], installed
    said = f"Installed: {len(TRIGGERS)} triggers, the ledger and what goes with it.\n"
    assert installed[2].out == f"{said}All tables and guards are there\n"


def test_the_server_may_write_rows_and_take_no_guard_away(server: Server) -> None:
    shell = server.shell
    assert shell.psql("SELECT count(*) FROM greenroom_ledger", user="greenroom_server").code == 0
    for statement in (
        "DROP TRIGGER greenroom_ledger_no_update ON greenroom_ledger",
        "ALTER TABLE model_versions DISABLE TRIGGER USER",
        "DROP INDEX greenroom_one_in_production",
        "TRUNCATE greenroom_ledger",
    ):
        ran = shell.psql(statement, user="greenroom_server")
        assert ran.code
        assert "must be owner of" in ran.err or "permission denied" in ran.err, ran.err


def test_secrets_are_readable_by_their_owner_alone(server: Server) -> None:
    etc = server.shell.folder / "settings"
    assert etc.stat().st_mode & 0o777 == 0o700
    assert {path.name for path in etc.iterdir()} == {"auth.ini", "pgpass", "policy.yaml", "server.env"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in etc.iterdir())


def test_pages_of_the_public_address_may_write_and_others_not(people: Server) -> None:
    public = {"Host": "mlflow.example.com", "X-Forwarded-Proto": "https"}

    def create(**headers: str) -> requests.Response:
        body = {"name": f"e-{time.monotonic_ns()}"}
        return people.call(
            "ann", "POST", "/ajax-api/2.0/mlflow/experiments/create", json=body, headers=headers
        )

    assert create(**public, Origin="https://mlflow.example.com").status_code == 200
    assert create(**public, Origin="https://evil.example.com").status_code == 403
    assert create(**{**public, "Host": "evil.example.com"}).status_code == 403
    page = people.call("rita", "GET", "/review", headers=public)
    assert page.status_code == 200
    assert "http://" not in page.text


def test_a_reviewer_lets_the_first_version_in(people: Server, live: tuple[Ran, Ran]) -> None:
    seen, approved = live
    assert seen.code == 0, seen.err
    assert re.search(r"tiny +1 +Staging +ann", seen.out)
    assert re.search(r"tiny +1 +ann .* passes all gates", seen.out)
    assert approved == Ran(0, "tiny version 1 is in Production\n", "")
    with everything_at(people.at("olaf")) as olaf:
        scorer = registry.load(olaf, "models:/tiny/Production")
    assert scorer.version.author == "ann"


def test_people_may_do_what_the_table_says(people: Server, hooked: Receiver) -> None:
    assert hooked.got
    with pytest.raises(RegistryError, match="this login may not do that"):
        registry.register(people.at("olaf"), "tiny", "models:/m-0", "0")
    with pytest.raises(RegistryError, match="This login may not change tiny"):
        registry.decide(people.at("olaf"), Act.ARCHIVE, "tiny", 2, "old")
    for login in ("val", "admin"):
        with pytest.raises(RefusedError, match=f"{login} may not roll back: that takes the MLflow role"):
            registry.decide(people.at(login), Act.ROLLBACK, "tiny", 1, "why not")
    assert [*registry.read_history(people.at("olaf"))]


def test_a_receiver_knows_what_is_genuine(hooked: Receiver) -> None:
    (code,) = blocks("Webhooks", "python")
    room: dict[str, Any] = {}
    exec(code, room)
    is_genuine = room["is_genuine"]
    for headers, body in hooked.got:
        assert is_genuine("HOOK-PASSWORD", headers, body)
        assert not is_genuine("another", headers, body)
        assert not is_genuine("HOOK-PASSWORD", headers, body.replace(b"tiny", b"huge"))
        assert not is_genuine("HOOK-PASSWORD", {**headers, "X-MLflow-Timestamp": "1"}, body)
    said = [re.findall(r'"(?:entity|action)": "([^"]+)"', body.decode()) for _, body in hooked.got]
    assert [".".join(words[:2]) for words in said] == [
        "model_version_stage.requested",
        "model_version_stage.approved",
        "model_version_stage.archived",
        "model_version_stage.promoted",
        "model_version_alias.created",
    ]


def test_watching_says_that_all_is_well(watched: Ran) -> None:
    assert watched.code == 0, watched.err
    said = "All tables and guards are there\nThe ledger is whole: 11 lines, compared with"
    assert watched.out.startswith(said)
    assert "(0 rows)" in watched.out


def test_every_line_has_its_head(people: Server, hooked: Receiver) -> None:
    # Also a registration and a verdict, whose line would else be the tail that nobody misses.
    assert hooked.got
    numbers = {int(number) for number in re.findall(r"/(\d{12})-", heads(people.shell))}
    assert {1, 2, 3, 5} <= numbers


def test_a_restored_backup_is_whole(restored: Restored) -> None:
    assert restored.newest.code == 0, restored.newest.err
    said = r"All tables and guards are there\nThe ledger is whole: 11 lines, compared with \d+ heads .*\n"
    assert re.fullmatch(said, restored.newest.out)


def test_a_backup_from_before_the_last_decision_says_so(restored: Restored) -> None:
    assert restored.older.code == 1
    doctor, *tail, verdict = restored.older.out.splitlines()
    assert doctor == "All tables and guards are there"
    assert tail == ["The ledger ends at line 11, and line 13 was known: its tail was cut."]
    assert re.fullmatch(r"1 fault in 11 lines, compared with \d+ heads? kept elsewhere", verdict)


def test_with_new_heads_the_restored_ledger_goes_on(restored: Restored) -> None:
    again = restored.started_again
    assert again == Ran(0, "The ledger is whole: 11 lines, compared with 1 head kept elsewhere\n", "")


def test_an_upgrade_with_nothing_to_do_does_nothing(upgraded: Ran) -> None:
    assert upgraded.code == 0, upgraded.err
    assert upgraded.out == "Nothing was missing\nAll tables and guards are there\n"


def test_what_an_upgrade_drops_is_named_and_put_back(people: Server, upgraded: Ran) -> None:
    from mlflow.exceptions import MlflowException

    from registry.server.store import GreenroomStore

    assert upgraded.code == 0
    shell = people.shell
    gone = "The trigger greenroom_stage_needs_line is missing."
    assert shell.psql("DROP TRIGGER greenroom_stage_needs_line ON model_versions").code == 0
    ran = shell.registry("doctor $OWNER")
    assert (ran.code, ran.out.splitlines()[0]) == (1, gone)
    advice = ran.out.splitlines()[1]
    assert advice == shell.named(f"Run: python -m registry init {shell.environment['OWNER']}")
    with (
        mock.patch.dict(os.environ, shell.environment, clear=True),
        pytest.raises(MlflowException, match=f"Greenroom is not whole in this database: {gone}"),
    ):
        GreenroomStore(f"greenroom+{shell.environment['SERVER']}")
    assert shell.registry("init $OWNER") == Ran(0, f"Repaired: {gone}\n", "")
    assert shell.registry("doctor $OWNER") == Ran(0, "All tables and guards are there\n", "")


def test_a_stock_registry_is_adopted(shell: Shell, adopted: tuple[Ran, Ran, Ran]) -> None:
    refused, mended, ran = adopted
    assert refused.code == 1
    assert "Expected at most one version of a model in Production, and churn has 2." in refused.err
    assert mended.code == 0, mended.err
    assert ran.code == 0, ran.err
    installed, *found = ran.out.splitlines()
    assert installed.startswith("Installed: ")
    assert found == [
        "Adopted: churn version 1, in Archived",
        "Adopted: churn version 2, in Production",
        "Adopted: churn version 3, in Staging",
        "Adopted: churn version 4, in None",
        "Repaired: The alias production of churn names version 4, and version 2 is in Production.",
    ]
    # The server's role may read what it did not make.
    server = shell.environment["SERVER"].replace("/mlflow", "/stock")
    assert shell.registry(f"doctor {server}") == Ran(0, "All tables and guards are there\n", "")
    alias = shell.psql("SELECT alias, version FROM registered_model_aliases", "stock")
    assert alias.out == "production|2\n"


def test_what_the_owner_of_the_database_does_shows(shell: Shell, restored: Restored) -> None:
    assert restored.newest.code == 0
    restore = shell.named("createdb tried && pg_restore --no-owner -d tried mlflow.dump")
    assert shell._bash(restore).code == 0
    tried = shell.environment["OWNER"].replace("/mlflow", "/tried").replace("greenroom_owner", USER)
    guarded = ("model_versions", "registered_model_aliases", "model_version_tags", "greenroom_ledger")
    done = shell.psql(
        "; ".join(
            [
                "DROP INDEX greenroom_one_in_production",
                *(f"ALTER TABLE {table} DISABLE TRIGGER USER" for table in guarded),
                "UPDATE model_versions SET current_stage = 'Staging' WHERE version = 1",
                "UPDATE registered_model_aliases SET version = 1",
                "UPDATE model_version_tags SET value = replace(value, '1', '2') WHERE version = 2",
                "UPDATE greenroom_ledger SET by = 'olaf' WHERE number = 4",
                "DELETE FROM greenroom_ledger WHERE number = 7",
            ]
        ),
        "tried",
    )
    assert done.code == 0, done.err
    doctor = shell.registry(f"doctor {tried}")
    switched_off = (
        "The trigger greenroom_stage_needs_line is not the one that belongs there, or is switched off."
    )
    assert doctor.code == 1
    assert switched_off in doctor.out.splitlines()
    assert "The index greenroom_one_in_production is missing." in doctor.out.splitlines()
    # Somebody puts all of it back, and thinks that nobody will know.
    index = "CREATE UNIQUE INDEX greenroom_one_in_production ON model_versions (workspace, name)"
    back = [f"{index} WHERE current_stage = 'Production'"]
    back += [f"ALTER TABLE {table} ENABLE TRIGGER USER" for table in guarded]
    assert shell.psql("; ".join(back), "tried").code == 0
    doctor = shell.registry(f"doctor {tried}")
    assert doctor.code == 1
    assert doctor.out.splitlines() == [
        "tiny version 1 is in Staging, and its newest line, 10, says Archived: it was moved past Greenroom.",
        "The manifest of tiny version 2 is not the one of its newest line, 11.",
        "The alias production of tiny names version 1, and version 2 is in Production.",
    ]
    verify = shell.registry(f"verify --database {tried}")
    assert verify.code == 1
    altered, missing, _ = verify.out.splitlines()
    assert altered.startswith("Line 4 was altered: tiny version 1, approved, by olaf, ")
    assert missing == "The ledger goes from 6 to 8: line 7 missing."
    # What the guide says to do about it.
    aligned = "Repaired: The alias production of tiny names version 1, and version 2 is in Production."
    assert shell.registry(f"init {tried}").out.splitlines() == [aligned]
    archive = Asked(Act.ARCHIVE, "tiny", 1, "moved past Greenroom", "an attempt")
    with mock.patch.dict(os.environ, shell.environment, clear=True):
        engine = sa.create_engine(tried, poolclass=sa.NullPool)
        with Session(engine) as session, session.begin():
            tables.take_lock(session)
            decisions.decide(session, archive, Actor("rita", may_review=True), Rules())
    doctor = shell.registry(f"doctor {tried}")
    assert doctor.out == "The manifest of tiny version 2 is not the one of its newest line, 11.\n"


def test_every_command_of_the_guide_was_typed(upgraded: Ran, adopted: tuple[Ran, ...], shell: Shell) -> None:
    assert upgraded.code == 0
    assert adopted
    everything = re.findall(r"^```sh\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    # Its first half needs the network; test_what_is_installed_is_whole does the other.
    left = [block for block in everything if block not in {*shell.typed, *blocks("Install")}]
    assert not left
