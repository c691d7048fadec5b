"""The manifest of an artifact: whatever was changed, taken away or added is named."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry import ArtifactError, Manifest
from registry.manifest import OUTSIDE

names = st.text("abcXYZ09._- é", min_size=1, max_size=8).filter(lambda n: n.strip(".") and n != OUTSIDE)
paths = st.lists(names, min_size=1, max_size=3).map("/".join)
artifacts = st.dictionaries(paths, st.binary(max_size=40), min_size=1, max_size=6).filter(
    # No file may be the folder of another.
    lambda files: not any(f"{one}/" in f"{other}" for one in files for other in files)
)
few = settings(max_examples=30)


class Folder:
    """A folder with given files, gone afterwards."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.path = Path(tempfile.mkdtemp())
        for name, body in files.items():
            self.write(name, body)

    def write(self, name: str, body: bytes) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.path)


@few
@given(files=artifacts)
def test_the_same_files_are_the_same_manifest(files: dict[str, bytes]) -> None:
    backwards = dict(reversed(files.items()))
    with Folder(files) as one, Folder(backwards) as other:
        manifest = Manifest.of(one.path)
        assert Manifest.of(other.path) == manifest
        assert Manifest.from_files(json.loads(manifest.to_json())) == manifest
        assert {f.path: f.size_bytes for f in manifest.files} == {n: len(b) for n, b in files.items()}
        other.write(OUTSIDE, b"MLflow's")
        manifest.verify(other.path, "it")


@few
@given(files=artifacts, data=st.data())
def test_a_changed_file_is_named(files: dict[str, bytes], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(files)))
    body = data.draw(st.binary(max_size=40).filter(lambda b: b != files[name]))
    with Folder(files) as folder:
        manifest = Manifest.of(folder.path)
        folder.write(name, body)
        with pytest.raises(ArtifactError) as refused:
            manifest.verify(folder.path, "tiny version 1")
        assert Manifest.of(folder.path).digest != manifest.digest
    said = str(refused.value)
    assert said.startswith("tiny version 1 is not the artifact that was registered: the file ")
    assert f"the file {name!r} was changed: SHA-256 " in said
    assert said.endswith("It is not loaded; find out who changed it, and register a new version")


@few
@given(files=artifacts, data=st.data())
def test_a_missing_file_is_named(files: dict[str, bytes], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(files)))
    with Folder(files) as folder:
        manifest = Manifest.of(folder.path)
        (folder.path / name).unlink()
        with pytest.raises(ArtifactError) as refused:
            manifest.verify(folder.path, "it")
        assert Manifest.of(folder.path).digest != manifest.digest
    assert f"the file {name!r} is missing." in str(refused.value)


@few
@given(files=artifacts, body=st.binary(max_size=9))
def test_an_added_file_is_named(files: dict[str, bytes], body: bytes) -> None:
    with Folder(files) as folder:
        manifest = Manifest.of(folder.path)
        folder.write("code/__pycache__/new.pyc", body)
        with pytest.raises(ArtifactError) as refused:
            manifest.verify(folder.path, "it")
        assert Manifest.of(folder.path).digest != manifest.digest
    assert "the file 'code/__pycache__/new.pyc' was added." in str(refused.value)


def test_only_mlflows_file_at_the_top_is_outside(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / OUTSIDE).write_text("MLflow's")
    (tmp_path / "code" / OUTSIDE).write_text("not MLflow's")
    assert [f.path for f in Manifest.of(tmp_path).files] == [f"code/{OUTSIDE}"]


@pytest.mark.parametrize("target", ["outside", "outside/secret", "nowhere"])
def test_links_are_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("x")
    artifact = tmp_path / "artifact"
    artifact.mkdir()
    (artifact / "model.ubj").write_bytes(b"x")
    manifest = Manifest.of(artifact)
    (artifact / "link").symlink_to(tmp_path / target)
    with pytest.raises(ArtifactError, match="holds the link 'link'; an artifact holds files only"):
        manifest.verify(artifact, "it")


def test_hashes_are_found_by_path(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    manifest = Manifest.of(tmp_path)
    assert manifest.sha256_of("a") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert manifest.sha256_of("b") is None
