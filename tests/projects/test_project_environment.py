"""The environment of `mlflow run`: one lock, named by conda.yaml, that satisfies pyproject.toml."""

import re
import shlex
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import REPOSITORY, run_command
from mlflow.projects._project_spec import load_project
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^ ;\\]+)([^\\]*)", re.MULTILINE)


def text_of(name: str) -> str:
    return (REPOSITORY / name).read_text()


def pyproject() -> dict[str, Any]:
    return dict(tomllib.loads(text_of("pyproject.toml"))["project"])


def conda() -> dict[str, Any]:
    return dict(yaml.safe_load(text_of("conda.yaml")))


def pins(lock: str) -> set[tuple[str, str, str]]:
    """Name, version and marker of every pin of a lock."""
    found = {(str(canonicalize_name(n)), v, marker.strip()) for n, v, marker in _PIN.findall(text_of(lock))}
    assert len(found) > 50, lock
    return found


def test_conda_yaml_names_a_python_that_is_allowed() -> None:
    [python] = [line for line in conda()["dependencies"] if str(line).startswith("python=")]
    assert python.removeprefix("python=") in SpecifierSet(pyproject()["requires-python"])


def test_the_pip_section_is_exactly_the_lock() -> None:
    assert [d for d in conda()["dependencies"] if isinstance(d, dict)] == [{"pip": ["-r requirements.lock"]}]
    spec = yaml.safe_load(text_of("MLproject"))
    assert (spec["name"], spec["conda_env"]) == ("greenroom", "conda.yaml")


def test_both_locks_pin_the_same() -> None:
    assert pins("requirements.lock") <= pins("requirements-dev.lock")


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_every_pin_has_hashes(lock: str) -> None:
    entries = re.split(r"\n(?=[A-Za-z0-9])", text_of(lock).strip())
    assert len(entries) == len(pins(lock))
    assert [entry.split(maxsplit=1)[0] for entry in entries if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize(
    ("lock", "extra"), [("requirements.lock", None), ("requirements-dev.lock", "dev")], ids=["plain", "dev"]
)
def test_every_direct_dependency_is_locked_within_its_bounds(lock: str, extra: str | None) -> None:
    lines = pyproject()["dependencies"] if extra is None else pyproject()["optional-dependencies"][extra]
    for requirement in map(Requirement, lines):
        locked = [v for n, v, _ in pins(lock) if n == canonicalize_name(requirement.name)]
        assert locked, f"{requirement.name} is not in {lock}"
        # A package may be locked twice, under markers; then each bound is met by one of them.
        assert any(v in requirement.specifier for v in locked), f"{requirement}: {locked}"


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock", "conda.yaml", "MLproject"])
def test_no_line_names_an_address(name: str) -> None:
    pattern = re.compile(r"\w+://|--(extra-)?index-url|--find-links|git\+")
    assert [line for line in text_of(name).splitlines() if pattern.search(line)] == []


@pytest.mark.parametrize("entry_point", ["main", "validate", "score"])
@pytest.mark.parametrize("value", ["; touch pwned", "--help", "$(id)", "a b", "line\nbreak", "'\"", "{date}"])
def test_a_parameter_stays_one_word_of_the_command(entry_point: str, value: str, tmp_path: Path) -> None:
    entry = load_project(str(REPOSITORY)).get_entry_point(entry_point)
    given = {name: value for name, p in entry.parameters.items() if p.type == "string"}
    command = entry.compute_command(given, str(tmp_path))
    words = shlex.split(command)
    plain = shlex.split(entry.compute_command(dict.fromkeys(given, "plain"), str(tmp_path)))
    assert words == [word.replace("plain", value) for word in plain]


def test_help_answers_at_once() -> None:
    import os

    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        done = run_command([sys.executable, "-m", "projects", "--help"], os.environ)
        seconds.append(time.perf_counter() - start)
        assert done.returncode == 0
        assert "python -m projects train flight_delay --until 2013-06-30" in done.stdout
    assert min(seconds) < 0.5
