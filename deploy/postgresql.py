"""A throw-away PostgreSQL on loopback, from the binaries of this machine.

For tests and benchmarks: its data is gone when the block ends. A team runs its own.
"""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from deploy import processes, watchdog
from deploy.errors import MissingProgramError, ServiceFailedError, StateFolderError, TransientError
from deploy.ports import LOOPBACK, free_ports

USER = "greenroom"

_DEBIAN = Path("/usr/lib/postgresql")
_UNPRIVILEGED = ("postgres", "nobody")
_TIMEOUT_S = 60.0
_POLL_S = 0.05
_LOG_LINES = 5
# What a crash of the machine would lose is worth nothing here, and each commit is ten times faster.
_NOT_DURABLE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


@dataclass(frozen=True)
class PostgresServer:
    """A server that runs: whoever has the password may do everything."""

    folder: Path
    port: int
    binaries: Path
    password: str = field(repr=False)

    def uri(self, database: str, driver: str = "psycopg") -> str:
        """Address of a database, for SQLAlchemy and MLflow; names the driver."""
        return f"postgresql+{driver}://{USER}:{self.password}@{LOOPBACK}:{self.port}/{database}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which PostgreSQL's own programs find the server."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "PGHOST": LOOPBACK,
            "PGPORT": str(self.port),
            "PGUSER": USER,
            "PGPASSWORD": self.password,
            "PGDATABASE": "postgres",
        }


@contextmanager
def running_postgresql(folder: Path | None = None, *, durable: bool = False) -> Iterator[PostgresServer]:
    """Run a server for the length of a block, on a free port, with its data in a new or empty folder.

    Without `folder` the data is in the system's temporary folder, and removed after the block. The
    server never runs as root: there it takes the rights of `postgres` or `nobody`, to whom the folder
    is given; every folder above it must be open to them. With `durable` a commit waits for the disk.

    Raises MissingProgramError where the machine has no PostgreSQL, StateFolderError on a folder that
    holds something, ServiceFailedError and TransientError where the server does not start.
    """
    binaries = find_binaries(os.environ)
    path = _new_folder() if folder is None else folder.resolve()
    if path.exists() and any(path.iterdir()):
        raise StateFolderError(
            f"Cannot keep PostgreSQL's data in {path}: it is not empty; expected a new or empty folder."
        )
    marker = f"postgresql:{path}"
    # SIGINT is its fast shutdown: it does not wait for its clients to go.
    with watchdog.stopping(marker, politely=signal.SIGINT, remove=path if folder is None else None):
        path.mkdir(mode=0o700, exist_ok=True)
        user = _hand_over(path)
        [port] = free_ports(1)
        server = PostgresServer(path, port, binaries, secrets.token_urlsafe(24))
        _initialise(server, user)
        settings = {
            "listen_addresses": LOOPBACK,
            "port": port,
            # Its path could be too long for a socket, and nobody needs it.
            "unix_socket_directories": "",
            **({} if durable else _NOT_DURABLE),
        }
        log = path / "postgresql.log"
        process = processes.spawn(
            [str(binaries / "postgres"), "-D", str(path / "data"), *_options(settings)],
            marker=marker,
            environment=_environment(),
            folder=path,
            log=log,
            user=user,
        )
        _wait_until_ready(server, process, log)
        yield server


def _new_folder() -> Path:
    # The temporary folder of a session may be closed to the user that the server runs as.
    wanted = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]  # noqa: S108  # mkdtemp names it
    if os.geteuid() == 0:
        wanted = [place for place in wanted if place.is_dir() and _is_open_to_all(place)] or wanted
    return Path(tempfile.mkdtemp(prefix="greenroom-postgresql-", dir=wanted[0]))


def _is_open_to_all(place: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in (place.resolve(), *place.resolve().parents))


def create_database(server: PostgresServer, name: str) -> str:
    """Make an empty database and return its address; raises ServiceFailedError if it is there already."""
    _run([server.binaries / "createdb", name], f"make the database {name!r}", server.environment)
    return server.uri(name)


def find_binaries(environ: Mapping[str, str]) -> Path:
    """Find the folder of `postgres` and `initdb`: on PATH, as `pg_config` says, or where Debian has it.

    Raises MissingProgramError.
    """
    path = environ.get("PATH", os.defpath)
    candidates = []
    if found := shutil.which("postgres", path=path):
        candidates.append(Path(found).resolve().parent)
    if pg_config := shutil.which("pg_config", path=path):
        said = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False)
        candidates.append(Path(said.stdout.strip()))
    # The newest first: 9.6 came before 10.
    candidates += sorted(_DEBIAN.glob("*/bin"), key=lambda p: p.parent.name.zfill(8), reverse=True)
    for folder in candidates:
        if (folder / "postgres").is_file() and (folder / "initdb").is_file():
            return folder
    raise MissingProgramError(
        "PostgreSQL is not installed: looked for `postgres` and `initdb` on PATH, where `pg_config` "
        f"says, and in {_DEBIAN}/*/bin; install Debian's package `postgresql` "
        "(apt-get install postgresql), or `postgresql-server` on Fedora."
    )


def _hand_over(path: Path) -> str | None:
    """Give the folder to the user who will run the server; None where that is the one we are."""
    if os.geteuid() != 0:
        return None
    for name in _UNPRIVILEGED:
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            os.chown(path, entry.pw_uid, entry.pw_gid)
            return name
    raise ServiceFailedError(
        f"PostgreSQL refuses to run as root, and this machine has no user {' or '.join(_UNPRIVILEGED)}: "
        "make one, or be another user."
    )


def _initialise(server: PostgresServer, user: str | None) -> None:
    secret = server.folder / "password"
    secret.touch(mode=0o600)
    secret.write_text(server.password)
    if user is not None:
        shutil.chown(secret, user)
    command: list[str | Path] = [
        server.binaries / "initdb",
        f"--pgdata={server.folder / 'data'}",
        f"--username={USER}",
        f"--pwfile={secret}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--no-locale",
        "--no-sync",
    ]
    who = f" as the user {user}, to whom every folder above must be open" if user else ""
    _run(command, f"make its data folder in {server.folder}{who}", _environment(), user=user)
    secret.unlink()


def _run(
    command: Sequence[str | Path], what: str, environment: Mapping[str, str], *, user: str | None = None
) -> None:
    done = subprocess.run(
        command,
        cwd="/",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        **processes.as_user(user),
    )
    if done.returncode:
        raise ServiceFailedError(f"PostgreSQL could not {what}: {done.stderr.strip()}")


def _wait_until_ready(server: PostgresServer, process: processes.Process, log: Path) -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    while subprocess.run(
        [server.binaries / "pg_isready", "-q"], env=server.environment, check=False
    ).returncode:
        if not processes.is_alive(process):
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_LINES:])
            raise ServiceFailedError(f"PostgreSQL ended before it was ready. The end of {log}:\n{tail}")
        if time.monotonic() > deadline:
            raise TransientError(
                f"PostgreSQL did not answer on port {server.port} within {_TIMEOUT_S:g} s: try again."
            )
        time.sleep(_POLL_S)


def _options(settings: Mapping[str, object]) -> list[str]:
    return [f"--{name}={value}" for name, value in settings.items()]


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "TZ": "UTC"}
