"""`python -m serving build` on a registry: what is in Production goes into an image, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from review_house import House, logging_to, new_name
from tiny_versions import register_tiny, validate_tiny

from registry import Act
from serving.__main__ import main

pytest_plugins = ["review_fixtures"]


@pytest.fixture(scope="module")
def model(sqlite_house: House) -> str:
    """A model whose first version is in Production, and whose second is not."""
    name = new_name("image")
    for seed in (1, 2):
        with logging_to(sqlite_house.at("ann")) as at:
            version = register_tiny(at, name, seed)
        validate_tiny(sqlite_house.at("olaf"), version)
    sqlite_house.decide("ann", Act.REQUEST, name, 1)
    sqlite_house.decide("rita", Act.APPROVE, name, 1)
    return name


@pytest.fixture(autouse=True)
def environment(sqlite_house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in sqlite_house.server.environment("olaf").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GREENROOM_CACHE_DIR", str(tmp_path / "cache"))


def test_what_is_in_production_is_written(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "image"
    assert main(["build", model, "--out", str(out), "--version", "1"]) == 0
    said = capsys.readouterr().out
    assert f"{model} version 1, artifact " in said
    assert f"docker build -t {model}:1 {out}" in said
    assert f'greenroom.model="{model}" greenroom.version="1"' in (out / "Dockerfile").read_text()
    assert main(["build", model, "--out", str(out)]) == 1
    assert "not an empty folder" in capsys.readouterr().err


def test_what_is_not_in_production_is_refused(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["build", model, "--out", str(tmp_path / "image"), "--version", "2"]) == 1
    assert f"{model} version 2 is not in Production, version 1 is" in capsys.readouterr().err
    assert not (tmp_path / "image").exists()


def test_a_model_that_nobody_knows_is_a_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", new_name("none"), "--out", str(tmp_path / "image")]) == 2
    assert capsys.readouterr().err.startswith("serving: ")
    assert not (tmp_path / "image").exists()
