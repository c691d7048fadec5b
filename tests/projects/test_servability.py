"""Servability: served by what it requires alone; whatever goes wrong there is a failed result."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import january
import pytest
from mlflow.models import Model

from evidence import Verdict
from projects.artifact import save_model
from projects.errors import ProjectError
from projects.training import train
from projects.validation.clean_environment import ImpossibleRequirementsError, clean_environment
from projects.validation.servability import try_serving
from registry.scorer import Scorer, read_artifact

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pyarrow as pa

    from evidence import GateResult

    Serve = Callable[[Path], tuple[GateResult, dict[str, float]]]


def save(folder: Path, rounds: int) -> Path:
    project = replace(january.project(), rounds=rounds)
    booster = train(project, january.rows_of(january.january()), lambda _: None)
    example = january.january().select(list(project.features)).slice(0, 5).to_pandas()
    save_model(str(folder), Model(), booster, project.features, example)
    return folder


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("artifact") / "model", 5)


@pytest.fixture
def copied(artifact: Path, tmp_path: Path) -> Path:
    return shutil.copytree(artifact, tmp_path / "model")


@pytest.fixture(scope="module")
def serve(artifact: Path, environments: Path) -> Serve:
    scorer = Scorer(None, *read_artifact(artifact, "it"))  # type: ignore[arg-type]  # no version is asked for

    def tried(folder: Path) -> tuple[GateResult, dict[str, float]]:
        rows: pa.Table = january.january().slice(0, 100)
        environment = {**os.environ, "AWS_SECRET_ACCESS_KEY": "ours"}
        return try_serving(folder, scorer, rows, environments.parent, environment)

    return tried


def test_one_that_answers_alike_passes(serve: Serve, artifact: Path) -> None:
    before = sorted(artifact.rglob("*"))
    result, figures = serve(artifact)
    assert result.verdict is Verdict.PASSED, result.sentence
    said = (
        "served in a clean environment, it answers 105 rows as the batch scorer does, bit for bit; up after "
    )
    assert result.sentence.startswith(said)
    assert figures.keys() == {"served_load_s", "served_memory_bytes", "served_p50_ms"}
    assert all(value > 0 for value in figures.values())
    assert sorted(artifact.rglob("*")) == before  # it is verified; nothing may be added


def test_one_that_answers_otherwise_fails(serve: Serve, copied: Path, tmp_path: Path) -> None:
    shutil.copy(save(tmp_path / "other", 6) / "model.ubj", copied / "model.ubj")
    result, _ = serve(copied)
    assert result.verdict is Verdict.FAILED
    assert "it cannot be served: it answers 100 of 100 rows otherwise than the batch scorer; row 0:" in (
        result.sentence
    )


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "import os\nraise RuntimeError(f'our key: {os.environ.get(\"AWS_SECRET_ACCESS_KEY\")}')",
            "our key: None",
        ),
        ("import os\nos.abort()", "before it answered"),
    ],
    ids=["an error", "a crash"],
)
def test_one_that_dies_fails(serve: Serve, copied: Path, code: str, said: str) -> None:
    (copied / "code" / "greenroom_pyfunc.py").write_text(code)
    result, _ = serve(copied)
    assert result.verdict is Verdict.FAILED
    assert result.sentence.startswith("it cannot be served: it ")
    assert said in result.sentence


def test_one_that_requires_what_is_not_there_fails(serve: Serve, copied: Path) -> None:
    (copied / "requirements.txt").write_text("xgboost-cpu==0.0.1\n")
    result, _ = serve(copied)
    assert result.verdict is Verdict.FAILED
    assert "cannot be installed" in result.sentence
    assert "xgboost-cpu==0.0.1" in result.sentence


def test_an_environment_is_built_once_and_again_where_building_was_killed(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("six==1.17.0\n")
    programs = clean_environment(requirements, tmp_path, os.environ)
    ready = programs.parent / ".ready"
    built = ready.stat().st_mtime_ns
    assert clean_environment(requirements, tmp_path, os.environ) == programs
    assert ready.stat().st_mtime_ns == built

    ready.unlink()
    shutil.rmtree(next(programs.parent.glob("lib/python*/site-packages")))
    clean_environment(requirements, tmp_path, os.environ)
    assert list(programs.parent.glob("lib/python*/site-packages/six.py"))


def test_a_network_that_is_away_is_no_verdict(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("six==1.17.0\n")
    nowhere = {
        **os.environ,
        "UV_INDEX_URL": "http://127.0.0.1:9/simple",
        "UV_CACHE_DIR": str(tmp_path / "uv"),
    }
    away = {**nowhere, "UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple", "UV_HTTP_RETRIES": "0"}
    with pytest.raises(
        ProjectError, match="Could not build an environment for the artifact; run it again"
    ) as no:
        clean_environment(requirements, tmp_path, away)
    assert not isinstance(no.value, ImpossibleRequirementsError)
