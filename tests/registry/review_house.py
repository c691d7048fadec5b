"""A running Greenroom server with five logins, and what the tests of review do with it."""

from __future__ import annotations

import base64
import http.client
import os
import shutil
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import pytest
import requests
import sqlalchemy as sa
from mlflow import MlflowClient
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from tiny_versions import finished_run, register_tiny, validate_tiny

import registry
from deploy.scratch_server import ScratchServer, running_server
from registry import Act, Line, ModelVersion, Registry
from registry.ledger import find_faults
from registry.server import operate

# Authors, reviewers, and one who is neither.
LOGINS: dict[str, tuple[str, ...]] = {
    "ann": (),
    "amy": (),
    "rita": ("reviewer",),
    "rob": ("reviewer",),
    "olaf": (),
}
EXHAUSTIVE = bool(os.environ.get("GREENROOM_EXHAUSTIVE"))
DECISIONS = "/api/2.0/greenroom/decisions"
ENGINES = ("sqlite", "postgresql")
# For what is decided before a database is asked: there one engine tells as much as two.
ONE_ENGINE = pytest.mark.parametrize("house", ENGINES if EXHAUSTIVE else ENGINES[:1], indirect=True)
# The versions of the model that `shown` gives.
LIVE, WAITING, FRESH, AWAY = 1, 2, 3, 4
SHOWN = {LIVE: "Production", WAITING: "Staging", FRESH: "None", AWAY: "Archived"}


@dataclass(frozen=True)
class House:
    """A running server, its database, and one logged model that any version can be made of."""

    engine: str
    server: ScratchServer
    caches: Path
    _sources: dict[str, tuple[str, str]] = field(default_factory=dict)

    def at(self, login: str) -> Registry:
        """The registry as a login sees it; the password is in the address, so that threads may differ."""
        address = urlsplit(self.server.url)
        uri = address._replace(netloc=f"{login}:{self.server.passwords[login]}@{address.netloc}").geturl()
        return registry.connect({"MLFLOW_TRACKING_URI": uri, "GREENROOM_CACHE_DIR": str(self.caches / login)})

    def client(self, login: str) -> MlflowClient:
        """MLflow's own client."""
        return self.at(login).client

    def call(self, login: str | None, method: str, path: str, **sent: Any) -> requests.Response:
        """Send one request, `path` as it is written, and follow no redirect."""
        with requests.Session() as session:
            session.trust_env = False
            if login:
                session.auth = (login, self.server.passwords[login])
            prepared = session.prepare_request(requests.Request(method, self.server.url, **sent))
            prepared.url = f"{self.server.url}{path}"
            if sent.get("params"):
                prepared.prepare_url(prepared.url, sent["params"])
            return session.send(prepared, timeout=60, allow_redirects=False)

    def raw(self, login: str | None, method: str, target: str, body: bytes = b"") -> tuple[int, str]:
        """Send a request whose path no client has tidied up; return the status and the text."""
        address = urlsplit(self.server.url)
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)
        headers = {"Connection": "close"}
        if login:
            known = base64.b64encode(f"{login}:{self.server.passwords[login]}".encode()).decode()
            headers["Authorization"] = f"Basic {known}"
        try:
            connection.request(method, target, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        finally:
            connection.close()

    def mlflow(self, login: str, method: str, path: str, **body: Any) -> requests.Response:
        """Call MLflow's REST interface."""
        return self.call(login, method, f"/api/2.0/mlflow/{path}", json=body)

    def log(self, login: str) -> tuple[str, str]:
        """Log a model that no other has the bytes of; return its URI and its run."""
        client = self.client(login)
        run_id = str(client.create_run("0").info.run_id)
        logged = client.create_logged_model("0", name="model", source_run_id=run_id)
        folder = self._stored(logged.artifact_location)
        # Logging one as a project does takes a second, and copying it none.
        shutil.copytree(self._first, folder)
        with (folder / "requirements.txt").open("a") as file:
            file.write(f"# {run_id}\n")
        client.finalize_logged_model(logged.model_id, "READY")
        return str(logged.model_uri), run_id

    @cached_property
    def _first(self) -> Path:
        with logging_to(self.at("olaf")) as at:
            return self.folder_of(register_tiny(at, new_name("first")))

    def _stored(self, location: str) -> Path:
        return Path(self.server.folder.path) / "artifacts" / location.partition(":/")[2]

    def register(self, model: str, login: str = "ann", seed: int | str = 0) -> ModelVersion:
        """Register a version; versions of one login and seed share their artifact, which is logged once."""
        return registry.register(self.at(login), model, *self.source_of(login, seed))

    def source_of(self, login: str, seed: int | str = 0) -> tuple[str, str]:
        """The model that a login has logged, and its run; another one for another seed."""
        key = f"{login} {seed}"
        if key not in self._sources:
            self._sources[key] = self.log(login)
        return self._sources[key]

    def digest_of(self, login: str, seed: int | str = 0) -> str:
        """The digest of the model that a login has logged; registers it once more."""
        key = f"digest of {login} {seed}"
        if key not in self._sources:
            self._sources[key] = (str(self.register(new_name("digest"), login, seed).digest), "")
        return self._sources[key][0]

    def evidence(self) -> str:
        """Make a run that a verdict can name."""
        return finished_run(self.at("olaf"))

    def validated(self, model: str, login: str = "ann", seed: int = 0) -> ModelVersion:
        version = self.register(model, login, seed)
        validate_tiny(self.at("olaf"), version)
        return version

    def staged(self, model: str, login: str = "ann", seed: int = 0) -> ModelVersion:
        version = self.validated(model, login, seed)
        self.decide(login, Act.REQUEST, model, version.version)
        return version

    def live(self, model: str, login: str = "ann", seed: int = 0) -> ModelVersion:
        version = self.staged(model, login, seed)
        self.decide("rita", Act.APPROVE, model, version.version)
        return version

    def folder_of(self, version: ModelVersion) -> Path:
        """Where the server keeps the artifact of a version."""
        location = self.client("admin").get_model_version_download_uri(version.name, str(version.version))
        return self._stored(str(location))

    def load(self, login: str, model: str, which: object = "Production") -> registry.AnyScorer:
        """Load a version as a job does, with an empty cache."""
        at = replace(self.at(login), cache=self.caches / new_name("empty"))
        # MLflow resolves `models:/` with the address that it knows for the whole process.
        with logging_to(at):
            return registry.load(at, f"models:/{model}/{which}")

    def decide(self, login: str, act: Act, model: str, version: int | None, **also: Any) -> list[Line]:
        return registry.decide(self.at(login), act, model, version, f"{login} says so", **also)

    def ask(self, login: str, act: str, model: str, version: int | None, **also: Any) -> requests.Response:
        """Ask for a decision in one call; `attempt` is made up where none is given."""
        said = {
            "action": act,
            "name": model,
            "version": version,
            "reason": "so",
            "attempt": str(uuid.uuid4()),
        }
        return self.call(login, "POST", DECISIONS, json={**said, **also})

    def set_stage(self, login: str, model: str, version: int, stage: str, **also: Any) -> str:
        """Set a stage as MLflow's own client does; return the stage it answers with."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # MLflow's, of stages
            client = self.client(login)
            found = client.transition_model_version_stage(model, str(version), stage, **also)
            return str(found.current_stage)

    @cached_property
    def database(self) -> sa.Engine:
        """The database itself, past every server."""
        return sa.create_engine(self.server.database_uri, poolclass=sa.NullPool)

    @cached_property
    def stock(self) -> SqlAlchemyStore:
        """MLflow's own store on the same database, which knows nothing of Greenroom."""
        return SqlAlchemyStore(self.server.database_uri)

    def sql(self, *statements: str, **values: Any) -> list[Any]:
        """Run statements in one transaction; return the rows of the last one."""
        with self.database.begin() as connection:
            for statement in statements:
                done = connection.execute(sa.text(statement), values)
            return [*done] if done.returns_rows else []

    def drop_guard(self, connection: sa.Connection, name: str, table: str) -> None:
        """Take one trigger away, to see what stands behind it."""
        where = "" if self.engine == "sqlite" else f" ON {table}"
        connection.exec_driver_sql(f"DROP TRIGGER {name}{where}")

    def stages(self, model: str) -> dict[int, str]:
        """The stages of a model, as the database has them; checks every invariant of it."""
        of_model = "WHERE name = :m"
        rows = self.sql(
            f"SELECT version, current_stage FROM model_versions {of_model} ORDER BY version", m=model
        )
        found = {version: stage for version, stage in rows if stage != "Deleted_Internal"}
        live = [version for version, stage in found.items() if stage == "Production"]
        assert len(live) <= 1, f"{model}: two in Production"
        aliases = self.sql(
            f"SELECT version FROM registered_model_aliases {of_model} AND lower(alias) = 'production'",
            m=model,
        )
        assert [row.version for row in aliases] == live, f"{model}: the alias disagrees"
        newest = self.newest_lines(model)
        for version, stage in found.items():
            assert newest[version].to_stage == stage, f"{model} {version}: a stage without its line"
        return found

    def newest_lines(self, model: str) -> dict[int, Line]:
        return {line.version: line for line in self.lines() if line.model == model}

    def lines(self) -> list[Line]:
        """The whole ledger, from the database; checks its chain."""
        lines = operate.read_ledger(self.server.database_uri)
        assert find_faults(lines) == []
        return lines

    def said(self, model: str, version: int | None = None) -> list[tuple[str, str, str]]:
        """Who did what to which stage, for one model."""
        return [
            (line.by, str(line.action), str(line.to_stage))
            for line in self.lines()
            if line.model == model and version in (None, line.version)
        ]


def new_name(start: str) -> str:
    return f"{start}-{uuid.uuid4().hex[:8]}"


@contextmanager
def logging_to(at: Registry) -> Iterator[Registry]:
    """Have MLflow's functions log there, not only its client.

    `mlflow.set_tracking_uri` cannot be undone: whatever it is set back to then wins over the environment.
    """
    with mock.patch.dict(os.environ, MLFLOW_TRACKING_URI=at.uri):
        yield at


@contextmanager
def open_house(
    engine: str, folder: Path, new_database: Callable[[str], str], *, workers: int = 2, **variables: str
) -> Iterator[House]:
    """Start a server for itself, for a test that kills it or changes its database."""
    uri = f"sqlite:///{folder / 'mlflow.db'}" if engine == "sqlite" else new_database(new_name("house"))
    folder.mkdir(parents=True, exist_ok=True)
    with running_server(
        folder / "server", uri, logins=LOGINS, workers=workers, environment=variables
    ) as server:
        yield House(engine, server, folder / "caches")


def message_of(answer: requests.Response) -> str:
    """What MLflow's REST interface says in a refusal; fails where it is no clean refusal."""
    assert answer.status_code == 400, (answer.status_code, answer.text[:500])
    body = answer.json()
    assert body["error_code"] == "INVALID_PARAMETER_VALUE"
    return str(body["message"])


def one_of(lines: Sequence[Line]) -> Line:
    assert len(lines) == 1
    return lines[0]
