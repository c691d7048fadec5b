"""Clean environments: what an artifact says it requires and nothing else, built once for each such list."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from uv import find_uv_bin

from projects.errors import ProjectError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_READY = ".ready"
_TIMEOUT_S = 900
# uv's words where packages as required do not exist, as opposed to a network that is away.
_IMPOSSIBLE = ("No solution found", "was not found in the package registry", "requirements are unsatisfiable")


class ImpossibleRequirementsError(ProjectError):
    """What an artifact requires cannot be installed, on any day."""


def clean_environment(requirements: Path, cache: Path, environment: Mapping[str, str]) -> Path:
    """Return the folder of programs of an environment with these requirements, building it if need be.

    Wheels only: nothing of a package is run to install it. Raises `ImpossibleRequirementsError`, and
    `ProjectError` where the packages could not be fetched.
    """
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    named = hashlib.sha256(f"python {python}\n{requirements.read_text()}".encode()).hexdigest()
    folder = cache / "environments" / named
    with _alone(folder.with_suffix(".lock")):
        if not (folder / _READY).is_file():
            _uv(["venv", "--clear", "--python", python, str(folder)], environment)
            # Compiled now: what is served writes none, or the verified artifact would get some too.
            install = ["pip", "install", "--only-binary", ":all:", "--compile-bytecode"]
            there = ["--python", str(folder / "bin" / "python"), "--requirements", str(requirements)]
            _uv([*install, *there], environment)
            # Written last: one whose building was killed is built again.
            (folder / _READY).touch()
    return folder / "bin"


def _uv(arguments: list[str], environment: Mapping[str, str]) -> None:
    try:
        done = subprocess.run(
            [find_uv_bin(), "--quiet", *arguments],
            env=dict(environment),
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ProjectError(f"uv {arguments[0]} was not done after {_TIMEOUT_S} s; run it again") from error
    if done.returncode == 0:
        return
    said = " ".join(done.stderr.split())[:500]
    if any(words in said for words in _IMPOSSIBLE):
        raise ImpossibleRequirementsError(f"What it requires cannot be installed: {said}")
    raise ProjectError(f"Could not build an environment for the artifact; run it again. uv says: {said}")


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let one process build; the others wait, and find it built. A kill lets the lock go."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
