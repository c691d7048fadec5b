"""A throw-away PostgreSQL: reachable with its password only, and gone whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from needs import need_postgresql

from deploy.errors import MissingProgramError, ServiceFailedError, StateFolderError
from deploy.postgresql import PostgresServer, create_database, find_binaries, running_postgresql
from deploy.processes import find

if TYPE_CHECKING:
    from collections.abc import Iterator

_HOLD_ONE = """
import time
from deploy.postgresql import running_postgresql
with running_postgresql() as server:
    print(server.folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    need_postgresql()


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with running_postgresql() as running:
        yield running


def _connect(uri: str) -> psycopg.Connection:
    return psycopg.connect(uri.replace("+psycopg", ""))


def test_a_database_is_made_and_reached_by_its_address(server: PostgresServer) -> None:
    uri = create_database(server, "flights")
    assert uri.startswith("postgresql+psycopg://greenroom:")
    assert uri.endswith(f"@127.0.0.1:{server.port}/flights")
    with _connect(uri) as connection:
        assert connection.execute("select current_database()").fetchone() == ("flights",)


def test_a_database_is_made_once(server: PostgresServer) -> None:
    create_database(server, "twice")
    with pytest.raises(ServiceFailedError, match=r"could not make the database 'twice'.*already exists"):
        create_database(server, "twice")


def test_nobody_gets_in_without_the_password(server: PostgresServer) -> None:
    uri = server.uri("postgres").replace(server.password, "guess")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        _connect(uri)
    assert server.password not in repr(server)


def test_it_never_runs_as_root(server: PostgresServer) -> None:
    heads = find(f"postgresql:{server.folder}")
    assert heads
    assert all(Path(f"/proc/{head.pid}").stat().st_uid != 0 for head in heads)


def test_it_is_gone_after_the_block_even_under_an_open_connection() -> None:
    with running_postgresql() as server:
        connection = _connect(server.uri("postgres"))
    with pytest.raises(psycopg.OperationalError):
        connection.execute("select 1")
    connection.close()
    assert not find(f"postgresql:{server.folder}")
    assert not server.folder.exists()


def test_it_is_gone_when_the_process_that_started_it_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", _HOLD_ONE], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        folder = Path(holder.stdout.readline().strip())
        assert find(f"postgresql:{folder}")
        holder.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while (find(f"postgresql:{folder}") or folder.exists()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not find(f"postgresql:{folder}")
    assert not folder.exists()


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep")
    with (
        pytest.raises(StateFolderError, match="it is not empty; expected a new or empty folder"),
        running_postgresql(tmp_path),
    ):
        pass
    assert (tmp_path / "mine").read_text() == "keep"


@pytest.mark.skipif(os.geteuid() != 0, reason="as another user than root it keeps our own rights")
def test_a_folder_that_its_user_cannot_reach_is_said(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with (
        pytest.raises(
            ServiceFailedError, match=r"to whom every folder above must be open.*Permission denied"
        ),
        running_postgresql(closed / "data"),
    ):
        pass


def test_a_machine_without_postgresql_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.postgresql._DEBIAN", tmp_path)
    with pytest.raises(MissingProgramError, match=r"install Debian's package `postgresql`"):
        find_binaries({"PATH": str(tmp_path)})
