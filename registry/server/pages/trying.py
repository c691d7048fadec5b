"""Send a row to a version and to the champion, each in a process of its own, and compare their answers."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow.exceptions import MlflowException

from registry.errors import ArtifactError
from registry.server import artifacts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.server.versions import Version

MOST_COLUMNS = 200
_MOST_CHARACTERS = 1000
_TIMEOUT_S = 30.0
_AT_ONCE = 2
_OUTPUT_BYTES = 64 * 1024
_KEPT_ARTIFACTS = 8
_EXAMPLE, _MOST_EXAMPLE_BYTES = "input_example.json", 100_000
_NUMBERS = {"double", "float", "long", "integer"}

_busy = threading.BoundedSemaphore(_AT_ONCE)


@dataclass(frozen=True)
class Input:
    """A raw column of the candidate, as the form asks for it."""

    key: str
    name: str
    type: str
    value: str

    @property
    def is_number(self) -> bool:
        """Whether the column takes numbers."""
        return self.type in _NUMBERS


@dataclass(frozen=True)
class Answer:
    """What one version answered, or why it did not."""

    title: str
    prediction: tuple[str, ...] = ()
    problem: str = ""


class BadRowError(Exception):
    """The row that somebody typed cannot be sent; the message says which column, and why."""


def inputs_of(version: Version, typed: Mapping[str, str] | None = None) -> tuple[Input, ...]:
    """Return the columns to ask for, with what was typed, or with the artifact's example."""
    artifact = version.standing.artifact or {}
    columns = ((artifact.get("signature") or {}).get("inputs")) or []
    if artifact.get("format") != "xgboost" or not all("name" in column for column in columns):
        return ()
    example = _example(version.location, artifact["manifest"]) if typed is None else {}
    found = []
    for position, column in enumerate(columns):
        key, name = f"column-{position}", str(column["name"])
        value = typed.get(key, "") if typed is not None else _as_text(example.get(name))
        found.append(Input(key, name, str(column.get("type", "")), value))
    return tuple(found)


def row_of(inputs: tuple[Input, ...]) -> dict[str, Any]:
    """Read the row as typed; an empty field is a missing value. Raises `BadRowError`."""
    row: dict[str, Any] = {}
    for field in inputs:
        text = field.value.strip()
        if len(text) > _MOST_CHARACTERS or not text.isprintable():
            raise BadRowError(f"{field.name}: expected at most {_MOST_CHARACTERS:,} printable characters.")
        row[field.name] = _number(field.name, text) if field.is_number and text else text or None
    return row


def ask(versions: Mapping[str, Version], row: dict[str, Any], cache: Path) -> list[Answer]:
    """Ask each version, all at once."""
    if not _busy.acquire(blocking=False):
        return [Answer(title, problem="Other rows are being scored; send it again.") for title in versions]
    try:
        with ThreadPoolExecutor(len(versions)) as pool:
            return list(pool.map(lambda title: _ask(title, versions[title], row, cache), versions))
    finally:
        _busy.release()


def cache_of(environment: Mapping[str, str]) -> Path:
    """Return the folder in which the server keeps artifacts that rows were sent to."""
    home = environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(environment.get("GREENROOM_CACHE_DIR") or Path(home) / "greenroom") / "review"


def _ask(title: str, version: Version, row: dict[str, Any], cache: Path) -> Answer:
    what = f"{version.model} version {version.number}"
    artifact = version.standing.artifact
    if not artifact:
        return Answer(title, problem="Its artifact was never fixed, so nothing of it is loaded.")
    if artifact.get("format") != "xgboost":
        return Answer(title, problem="Its artifact may bring code, and no code runs in this server.")
    try:
        folder = artifacts.fetch(version.location, artifact["manifest"], what, cache)
        folder.touch()
        _forget(cache)
        said = score(folder, what, row)
    except (ArtifactError, MlflowException, OSError) as error:
        return Answer(title, problem=f"{str(error)[:500].rstrip('.')}.")
    return Answer(title, tuple(said.get("prediction", ())), str(said.get("problem", "")))


def environment_of(server: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the child process: none of the server's keys and passwords."""
    return {k: v for k, v in server.items() if k in {"PATH", "LANG", "LC_ALL"}} | {"OMP_NUM_THREADS": "1"}


def score(folder: Path, what: str, row: dict[str, Any], timeout_s: float = _TIMEOUT_S) -> dict[str, Any]:
    """Run the child process; its answer, or a `problem` where it crashed, hung or babbled."""
    # -I: no module from the folder that the server was started in.
    command = [sys.executable, "-I", "-m", "registry.server.try_row", str(folder), what]
    with tempfile.TemporaryFile() as output:
        try:
            done = subprocess.run(
                command,
                input=json.dumps(row).encode(),
                stdout=output,
                stderr=subprocess.DEVNULL,
                env=environment_of(os.environ),
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return {"problem": f"It gave no answer within {timeout_s:g} seconds, and was ended."}
        output.seek(0)
        said = output.read(_OUTPUT_BYTES)
    try:
        answer = json.loads(said)
    except ValueError:
        answer = None
    if isinstance(answer, dict):
        return answer
    return {"problem": f"It gave no answer: its process ended with {_ending(done.returncode)}."}


def _ending(code: int) -> str:
    try:
        return f"the signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    except ValueError:
        return f"the signal {-code}"


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise BadRowError(f"{name} is {text[:40]!r}, expected a number, or nothing for a missing value.")
    return number


def _example(location: str, manifest: dict[str, Any]) -> dict[str, Any]:
    size_bytes, sha256 = manifest.get(_EXAMPLE, (_MOST_EXAMPLE_BYTES + 1, ""))
    if size_bytes > _MOST_EXAMPLE_BYTES:
        return {}
    try:
        example = json.loads(_read_example(location, sha256))
        return dict(zip(example["columns"], example["data"][0], strict=True))
    except (ArtifactError, MlflowException, OSError, ValueError, LookupError, TypeError):
        return {}  # the form is empty then


@lru_cache(maxsize=64)
def _read_example(location: str, sha256: str) -> bytes:
    return artifacts.read_file(location, _EXAMPLE, sha256)


def _as_text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.12g}" if math.isfinite(value) else ""
    return "" if value is None else str(value)


def _forget(cache: Path) -> None:
    kept = sorted((f for f in cache.iterdir() if not f.name.startswith(".")), key=lambda f: f.stat().st_mtime)
    for old in kept[:-_KEPT_ARTIFACTS]:
        shutil.rmtree(old, ignore_errors=True)
