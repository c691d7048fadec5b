"""Commands, as the replay's people type them, in this process: imports would take longer."""

from __future__ import annotations

import importlib
import io
import os
import shlex
import subprocess
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from deploy.errors import DeployError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from deploy.credentials import Role

_REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class People:
    """Whoever has a login, each with the environment of a shell prepared for them."""

    environments: Mapping[Role, Mapping[str, str]]

    def type(self, role: Role, command: str, *, allowed: tuple[int, ...] = (0,)) -> str:
        """Run `python -m ROOM …` here, as if `role` had typed it; return what it printed on stdout.

        Raises DeployError where it ends with another exit code than those allowed.
        """
        room, *arguments = shlex.split(command.removeprefix("python -m "))
        main = importlib.import_module(f"{room}.__main__").main
        said, complained = io.StringIO(), io.StringIO()
        with self.shell(role), redirect_stdout(said), redirect_stderr(complained):
            try:
                code = main(arguments)
            except SystemExit as error:
                code = error.code
        if code not in allowed:
            raise DeployError(f"`{command}` ended with exit code {code}: {complained.getvalue()[-2000:]}")
        return said.getvalue()

    def run(self, role: Role, command: str) -> str:
        """Run a command in a process of its own; return what it printed. Raises DeployError if it fails."""
        done = subprocess.run(
            shlex.split(command),
            cwd=_REPOSITORY,
            env={**self.environments[role]},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise DeployError(f"`{command}` ended with exit code {done.returncode}: {done.stdout[-2000:]}")
        return done.stdout

    @contextmanager
    def shell(self, role: Role) -> Iterator[Mapping[str, str]]:
        """Have the environment of a role for as long as the block runs.

        It is that of Python alone: the threads of deltalake read the process's own at any moment, and
        the C library frees what they read when a name is added.
        """
        before = os.environ
        os.environ = cast("os._Environ[str]", {**self.environments[role]})  # noqa: B003, SLF001  # on purpose
        try:
            yield os.environ
        finally:
            os.environ = before  # noqa: B003
