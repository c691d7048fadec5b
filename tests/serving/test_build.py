"""A container context serves its version where there is no network: by what is in it, as the scorer does."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import requests
from local_versions import write_tiny

from registry import Manifest, ModelVersion, Scorer, Stage
from serving.__main__ import main
from serving.container.context import Subject, write_context
from serving.container.pins import pin, read_hashes, write_requirements
from serving.errors import ServingError

TOKEN = "a-token-of-more-than-16-characters"
ROW = {"carrier": "UA", "distance": 2000.0}


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    folder = write_tiny(tmp_path_factory.mktemp("artifact") / "tiny")
    return Subject("tiny", 7, folder, Manifest.of(folder), "xgboost")


@pytest.fixture(scope="module")
def context(subject: Subject, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("images") / "tiny"
    write_context(out, subject)
    return out


def lines_of(context: Path, instruction: str) -> list[str]:
    text = (context / "Dockerfile").read_text()
    return re.findall(rf"^{instruction} (.*)$", text, re.MULTILINE)


def environment_of(context: Path) -> dict[str, str]:
    """What a process in the container would see, and a network that leads nowhere."""
    said = dict(line.split("=", 1) for line in lines_of(context, "ENV"))
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:1")
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **said, **nowhere}


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def started(context: Path, log: Path, *options: str) -> Iterator[str]:
    """Run the command of the image, by the Python that runs here, where it would run."""
    [entrypoint] = map(json.loads, lines_of(context, "ENTRYPOINT"))
    assert entrypoint[0] == "python"
    port = free_port()
    command = [sys.executable, *entrypoint[1:], "--port", str(port), *options]
    environment = {**environment_of(context), "GREENROOM_SERVING_TOKEN": TOKEN}
    with log.open("wb") as written:
        process = subprocess.Popen(command, cwd=context, env=environment, stdout=written, stderr=written)
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 60
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            try:
                said = requests.get(f"{url}/ready", timeout=5)
            except requests.RequestException:
                pass
            else:
                if said.status_code == 200:
                    break
                assert "refused" not in said.json()["models"][0], said.text
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        assert process.wait(60) == 0, log.read_text()


def test_the_command_of_the_image_answers_as_the_scorer_and_asks_nobody(
    subject: Subject, context: Path, tmp_path: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in context.rglob("*")}
    with started(context, tmp_path / "log") as url:
        answer = requests.post(
            f"{url}/invocations",
            json={"dataframe_records": [ROW]},
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=10,
        )
    version = ModelVersion(
        "tiny", 7, Stage.PRODUCTION, None, None, "", dt.datetime.now(dt.UTC), subject.manifest
    )
    scorer = Scorer.read(subject.folder, version)
    [expected] = scorer.predict(pa.Table.from_pylist([ROW])).astype(np.float64)
    assert answer.json() == {"predictions": [expected]}
    assert (answer.headers["x-model-name"], answer.headers["x-model-version"]) == ("tiny", "7")
    log = (tmp_path / "log").read_text()
    assert "follow" not in log
    assert '"level":"error"' not in log
    assert {
        path: path.stat().st_mtime_ns for path in context.rglob("*")
    } == before  # it needs no writable folder


def test_the_image_does_not_answer_the_world_without_a_token(context: Path) -> None:
    [entrypoint] = map(json.loads, lines_of(context, "ENTRYPOINT"))
    done = subprocess.run(
        [sys.executable, *entrypoint[1:]],
        cwd=context,
        env=environment_of(context),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "GREENROOM_SERVING_TOKEN" in done.stderr


def test_all_that_it_imports_of_ours_is_in_the_context(context: Path) -> None:
    program = """
import sys
import serving.__main__, serving.http.server, serving.http.start, serving.http.worker
import serving.models.loading, registry
registry.ArtifactError, registry.Manifest
rooms = {"batch_jobs", "deploy", "evidence", "expectations", "projects", "registry", "serving", "storage"}
for name, module in list(sys.modules.items()):
    if name.partition(".")[0] in rooms:
        print(module.__file__)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=context,
        env=environment_of(context),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    files = done.stdout.split()
    assert len(files) > 20
    assert all(Path(file).is_relative_to(context) for file in files)
    assert not (context / "registry" / "server").exists()


def test_the_artifact_is_there_with_its_manifest_and_digest(subject: Subject, context: Path) -> None:
    digest = subject.manifest.digest
    subject.manifest.verify(context / "cache" / "models" / digest, "tiny version 7")
    assert hashlib.sha256((context / "manifest.json").read_bytes()).hexdigest() == digest
    [label] = lines_of(context, "LABEL")
    assert f'greenroom.model="tiny" greenroom.version="7" greenroom.digest="{digest}"' == label


def test_an_artifact_that_was_changed_is_not_served(context: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", str(context), str(copy)], check=True)
    [ubj] = copy.glob("cache/models/*/model.ubj")
    ubj.write_bytes(ubj.read_bytes()[:-1] + b"\0")
    with pytest.raises(AssertionError) as found, started(copy, tmp_path / "log"):
        pass
    assert "'model.ubj' was changed" in str(found.value)


def test_every_package_is_pinned_with_its_hashes(context: Path) -> None:
    text = (context / "requirements.txt").read_text()
    pins = re.findall(r"^(\S+)==(\S+) \\\n +--hash=sha256:", text, re.MULTILINE)
    assert len(pins) == len(re.findall("^[^ ]", text, re.MULTILINE))
    assert {"mlflow", "xgboost-cpu", "gunicorn", "uvloop", "scipy"} <= {name for name, _ in pins}
    assert not {"great-expectations", "ray", "boto3", "pytest"} & {name for name, _ in pins}
    [run] = [line for line in lines_of(context, "RUN") if "pip" in line]
    assert "--require-hashes" in run


def test_the_artifact_says_which_version_it_needs() -> None:
    pinned = pin("xgboost-cpu==1.7.6\nscikit-learn==1.0\n")
    assert pinned["xgboost-cpu"] == "1.7.6"
    assert pinned["scikit-learn"] == "1.0"
    text, is_hashed = write_requirements(pinned, {})
    assert "xgboost-cpu==1.7.6\n" in text
    assert not is_hashed


def test_hashes_are_read_from_a_lock() -> None:
    lock = (
        "a==1 ; python_version < '3.12' \\\n    --hash=sha256:1 \\\n    --hash=sha256:2\n    # via b\n"
        "b==2 \\\n    --hash=sha256:3\n"
    )
    assert read_hashes(lock) == {("a", "1"): ["sha256:1", "sha256:2"], ("b", "2"): ["sha256:3"]}


@pytest.mark.parametrize(
    ("required", "said"),
    [
        ("no-such-package", "none runs here"),
        ("-r other.txt", "not the name of a package"),
        ("a @ /x y", "not the name"),
    ],
)
def test_a_requirement_that_cannot_be_pinned_is_refused(required: str, said: str) -> None:
    with pytest.raises(ServingError, match=said):
        pin(required)


def test_nothing_is_written_over(subject: Subject, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for taken in ("mine", "file"):
        with pytest.raises(ServingError, match="is there already, and not an empty folder"):
            write_context(tmp_path / taken, subject)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "file", "mine"]
    (tmp_path / "empty").mkdir()
    write_context(tmp_path / "empty", subject)
    assert (tmp_path / "empty" / "Dockerfile").is_file()


def test_a_context_that_cannot_be_finished_leaves_nothing(subject: Subject, tmp_path: Path) -> None:
    wrong = Manifest.from_files({"model.ubj": (1, "0" * 64)})
    with pytest.raises(Exception, match="is not the artifact that was registered"):
        write_context(tmp_path / "out", Subject("tiny", 7, subject.folder, wrong, "xgboost"))
    assert list(tmp_path.iterdir()) == []


def test_an_endpoint_that_is_offline_says_what_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GREENROOM_CACHE_DIR", str(tmp_path))
    assert main(["start", "tiny", "--offline", "--port", "0"]) == 1
    said = capsys.readouterr().err
    assert "No version of tiny is known here, and --offline asks no registry" in said
