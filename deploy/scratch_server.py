"""One MLflow server for the length of a block, stock or with Greenroom's rules: for tests and benchmarks.

It has no S3 of its own and no state that somebody would miss; the stack that people use is `deploy.up`.
"""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from deploy import processes, watchdog
from deploy.credentials import Role
from deploy.errors import ServiceFailedError
from deploy.logins import create_logins
from deploy.mlflow_server import PATIENT, QUIET, auth_config
from deploy.ports import LOOPBACK, free_ports
from deploy.service import Launch, Service, base_environment, wait_until_ready
from deploy.stack import address
from deploy.state import StateFolder, write_private

_TIMEOUT_S = 300.0
_POLL_S = 0.02


@dataclass(frozen=True)
class ScratchServer:
    """A server that was started, and can be killed and started again where it was."""

    folder: StateFolder
    database_uri: str = field(repr=False)
    passwords: Mapping[str, str] = field(repr=False)
    _launch: Launch = field(repr=False)

    @property
    def url(self) -> str:
        """Address of the server; it stays the same over a restart."""
        return address(self._launch.port)

    @property
    def log(self) -> Path:
        """What the server printed since its last start."""
        return Service.MLFLOW.log(self.folder)

    def environment(self, login: str) -> dict[str, str]:
        """Make the variables with which a login's commands and clients find the server."""
        return {
            "MLFLOW_TRACKING_URI": self.url,
            "MLFLOW_TRACKING_USERNAME": login,
            "MLFLOW_TRACKING_PASSWORD": self.passwords[login],
            **QUIET,
        }

    def kill(self) -> None:
        """End every process of the server at once, as `kill -9` does; returns when all are gone."""
        marker = Service.MLFLOW.marker(self.folder)
        # A worker may be born while we look.
        while found := processes.find(marker):
            for process in found:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
            time.sleep(_POLL_S)

    def start(self) -> None:
        """Start it, or start it again after `kill`, and return when it answers.

        Raises ServiceFailedError if it ends first, and TransientError if it takes too long.
        """
        process = processes.spawn(
            self._launch.command,
            marker=Service.MLFLOW.marker(self.folder),
            environment=self._launch.environment,
            folder=self.folder.path,
            log=self.log,
        )
        wait_until_ready(self._launch, process, self.log)


@contextmanager
def running_server(
    folder: Path,
    database_uri: str,
    *,
    logins: Mapping[str, Iterable[str]],
    stock: bool = False,
    workers: int = 2,
    artifacts: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[ScratchServer]:
    """Run a server on a database for the length of a block, with a login for each name in `logins`.

    `logins` says which MLflow roles each name has; the login `admin` is there too. On SQLite the logins
    are kept in `folder`, on PostgreSQL in a second database, `NAME_auth`, which is made where it is
    missing. In the folder of an earlier block the logins and passwords are those of that block.
    `artifacts` is where the server keeps artifacts, in `folder` by default; for an `s3://` address put
    its keys in `environment`, which goes over the server's own. `stock` is MLflow as it comes.

    Raises ServiceFailedError, StateFolderError, TransientError.
    """
    home = StateFolder(folder.resolve())
    home.create()
    with watchdog.stopping(Service.MLFLOW.marker(home)):
        passwords = _read_or_make_passwords(home, (Role.ADMIN, *logins))
        config = home.path / "auth.ini"
        write_private(config, auth_config(_auth_database(database_uri, home), passwords[Role.ADMIN]))
        variables = {
            **base_environment(os.environ, home),
            **QUIET,
            "MLFLOW_AUTH_CONFIG_PATH": str(config),
            "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_urlsafe(32),
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            **(environment or {}),
        }
        if not stock:
            _install_where_used(database_uri, variables)
        [port] = free_ports(1)
        options = {
            "app-name": "basic-auth" if stock else "greenroom",
            "backend-store-uri": database_uri,
            **({} if stock else {"registry-store-uri": f"greenroom+{database_uri}"}),
            "artifacts-destination": artifacts or str(home.path / "artifacts"),
            "host": LOOPBACK,
            "port": port,
            "workers": workers,
            **PATIENT,
        }
        command = (
            str(Path(sys.executable).parent / "mlflow"),
            "server",
            *(f"--{name}={value}" for name, value in options.items()),
        )
        launch = Launch(Service.MLFLOW, command, variables, port, _TIMEOUT_S)
        server = ScratchServer(home, database_uri, passwords, launch)
        server.start()
        remedy = f"expected to set up logins there: look into {server.log}."
        create_logins(port, passwords, logins, remedy)
        yield server


def _read_or_make_passwords(folder: StateFolder, names: Iterable[str]) -> dict[str, str]:
    path = folder.path / "passwords.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    passwords = {**{str(name): secrets.token_urlsafe(24) for name in names}, **known}
    write_private(path, json.dumps(passwords))
    return passwords


def _auth_database(database_uri: str, folder: StateFolder) -> str:
    """Say where the logins are kept, and make that database where it is PostgreSQL's."""
    import sqlalchemy as sa

    uri = sa.make_url(database_uri)
    if uri.get_backend_name() == "sqlite":
        return f"sqlite:///{folder.path / 'auth.db'}"
    name = f"{uri.database}_auth"
    engine = sa.create_engine(uri, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        known = sa.text("SELECT 1 FROM pg_database WHERE datname = :name")
        if connection.scalar(known, {"name": name}) is None:
            connection.execute(sa.text(f'CREATE DATABASE "{name}"'))
    return uri.set(database=name).render_as_string(hide_password=False)


def _install_where_used(database_uri: str, environment: Mapping[str, str]) -> None:
    """Put Greenroom into a database that MLflow has used before; into a new one the server puts it itself."""
    import sqlalchemy as sa

    engine = sa.create_engine(database_uri, poolclass=sa.NullPool)
    if not sa.inspect(engine).has_table("model_versions"):
        return
    done = subprocess.run(
        [sys.executable, "-m", "registry", "init", database_uri],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ServiceFailedError(f"`python -m registry init` failed: {done.stderr.strip()}")
