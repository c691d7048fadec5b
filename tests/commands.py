"""Run commands as a user does, or a room's `main` in this process, as one role of the stack."""

from __future__ import annotations

import contextlib
import importlib
import io
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Ran:
    """What a command answered."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class As:
    """Runs rooms' commands as one role of the stack, in this process: imports are paid once."""

    environment: Mapping[str, str]
    _monkeypatch: pytest.MonkeyPatch
    _capsys: pytest.CaptureFixture[str]

    def __call__(self, main: Callable[[list[str]], int], *arguments: str, **changed: str) -> Ran:
        with self._monkeypatch.context() as patch:
            for name, value in {**self.environment, **changed}.items():
                patch.setenv(name, value)
            self._capsys.readouterr()
            try:
                code = main(list(arguments))
            except SystemExit as stop:  # argparse
                code = int(stop.code or 0)
            said = self._capsys.readouterr()
        return Ran(code, said.out, said.err)


def run_in_process(command: str, environment: Mapping[str, str]) -> Ran:
    """Run a command that begins with `python -m ROOM` in this process, also for what outlives a test."""
    python, option, room, *arguments = shlex.split(command)
    assert (python, option) == ("python", "-m"), command
    main = importlib.import_module(f"{room}.__main__").main
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        for name, value in environment.items():
            patch.setenv(name, value)
        code = main(arguments)
    return Ran(code, out.getvalue(), err.getvalue())


def run_command(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command from the root of the repository, as a user does."""
    return subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
