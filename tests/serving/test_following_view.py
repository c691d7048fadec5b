"""The view: whole or not there, whoever reads while it is written; and workers import nothing with it."""

import json
import subprocess
import sys
import threading
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest
from commands import REPOSITORY
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import ServingError
from serving.following import Refused, View, read_view, view_path, write_view

VIEW = View(
    model="tiny",
    version=3,
    digest="d" * 64,
    manifest='{"MLmodel":[1,"e"]}',
    folder="/cache/models/d",
    format="xgboost",
    stage="Production",
    seen_at=1_700_000_000.25,
    reachable=True,
    problem=None,
    refused=None,
)
REFUSED = Refused(4, "f" * 64, "tiny version 4 can not be served: why")
EMPTY = replace(VIEW, version=None, digest=None, manifest=None, folder=None)
WRONG: dict[str, list[Any]] = {
    "model": [None, 1],
    "version": [0.5, "3", True, None],
    "digest": [None, 3],
    "manifest": [None, {}],
    "folder": [None, []],
    "format": ["pickle", None],
    "stage": ["Staging", None],
    "seen_at": ["now", None],
    "reachable": [1, None],
    "problem": [0],
    "refused": [{}, [], {"version": 4, "why": "so"}, {"version": "4", "digest": None, "why": "so"}],
}


@pytest.mark.parametrize(
    "view",
    [
        VIEW,
        EMPTY,
        replace(VIEW, reachable=False, problem="The registry does not answer", refused=REFUSED),
        replace(EMPTY, refused=Refused(1, None, "é\u2028"), seen_at=0.0, format="pyfunc"),
    ],
)
def test_what_is_written_is_read(tmp_path: Path, view: View) -> None:
    path = view_path(tmp_path, "http://127.0.0.1:5000", "tiny")
    write_view(path, view)
    assert read_view(path) == view
    assert [found.name for found in path.parent.iterdir()] == ["view.json"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"null", b"[]", b"\xff\xfe", b"[" * 100_000, json.dumps(asdict(VIEW)).encode()[:-20]],
)
def test_what_is_no_view_is_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "view.json"
    assert read_view(path) is None
    path.write_bytes(content)
    assert read_view(path) is None


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in WRONG.items() for v in values])
def test_another_shape_is_none(tmp_path: Path, name: str, value: Any) -> None:
    path = tmp_path / "view.json"
    path.write_text(json.dumps({**asdict(VIEW), name: value}))
    assert read_view(path) is None


def test_every_value_is_looked_at() -> None:
    assert WRONG.keys() == {field.name for field in fields(View)}


def test_fewer_or_more_names_are_none(tmp_path: Path) -> None:
    path = tmp_path / "view.json"
    content = asdict(VIEW)
    path.write_text(json.dumps({**content, "more": 1}))
    assert read_view(path) is None
    del content["folder"]
    path.write_text(json.dumps(content))
    assert read_view(path) is None


@given(st.binary(max_size=200))
def test_no_bytes_raise(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any-view.json"
    path.write_bytes(content)
    assert read_view(path) is None


def test_readers_see_one_view_or_the_other(tmp_path: Path) -> None:
    path = tmp_path / "view.json"
    one = replace(VIEW, problem="a" * 20_000)
    other = replace(VIEW, version=4, problem="b" * 40_000)
    write_view(path, one)
    seen: set[View | None] = set()
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.add(read_view(path))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for count in range(60):
        write_view(path, other if count % 2 else one)
    stop.set()
    for reader in readers:
        reader.join()
    assert seen == {one, other}


def test_a_view_that_can_not_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "view.json"
    write_view(path, VIEW)
    with pytest.raises(TypeError):
        write_view(path, replace(VIEW, problem=object()))  # type: ignore[arg-type]
    assert read_view(path) == VIEW
    assert [found.name for found in tmp_path.iterdir()] == ["view.json"]


def test_it_lies_where_the_server_and_the_model_say(tmp_path: Path) -> None:
    path = view_path(tmp_path, "http://127.0.0.1:5000", "tiny")
    server = path.parent.parent
    assert path.relative_to(server).as_posix() == "tiny/view.json"
    assert server.parent == tmp_path / "serving"
    assert len(server.name) == 16
    # A new password is no other server; a secret is in no name.
    for same in ("http://ann:one@127.0.0.1:5000", "http://ann:two@127.0.0.1:5000/"):
        assert view_path(tmp_path, same, "tiny") == path
    assert view_path(tmp_path, "http://127.0.0.1:5001", "tiny") != path


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "a\n", "-a", "a" * 129, "é", "a\0"])
def test_no_name_leads_elsewhere(tmp_path: Path, name: str) -> None:
    with pytest.raises(ServingError, match="is not a model name; expected up to 128 letters"):
        view_path(tmp_path, "http://127.0.0.1:5000", name)


def test_who_reads_a_view_imports_nothing_else() -> None:
    code = "import sys, serving.following.view; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    heavy = {"mlflow", "pandas", "boto3", "numpy", "pyarrow", "xgboost", "registry", "requests", "yaml"}
    assert not heavy & set(done.stdout.split())
