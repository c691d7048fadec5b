"""The bytes behind a version, read by the server itself: fixed once, and looked for before a decision."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, TEMPORARILY_UNAVAILABLE
from mlflow.server import ARTIFACTS_DESTINATION_ENV_VAR, handlers
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.artifact.runs_artifact_repo import RunsArtifactRepository
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.uri import is_local_uri

from registry.errors import ArtifactError
from registry.formats import format_of, signature_of
from registry.manifest import Manifest
from storage import StorageError
from storage.aws_errors import translated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow.store.artifact.artifact_repo import ArtifactRepository

_PROXIED = "mlflow-artifacts"


def fix(location: str) -> dict[str, Any] | None:
    """Read the artifact at `location`; None where nothing is there yet.

    Returns `manifest` (path to size in bytes and SHA-256), `digest`, `format` and `signature`.
    """
    with tempfile.TemporaryDirectory(prefix="greenroom-") as scratch:
        with _reached("read", location):
            repository, path = _open(location)
            if next(_files(repository, path), None) is None:
                return None
            folder = Path(repository.download_artifacts(path, dst_path=scratch))
        manifest = Manifest.of(folder)
        return {
            "manifest": {f.path: [f.size_bytes, f.sha256] for f in manifest.files},
            "digest": manifest.digest,
            "format": format_of(folder, manifest),
            "signature": signature_of(folder),
        }


def obstacle(location: str, manifest: dict[str, Any]) -> str | None:
    """Say what a look at names and sizes finds wrong with an artifact; a load checks every byte."""
    try:
        with _reached("look at", location):
            repository, path = _open(location)
            found = dict(_files(repository, path))
    except (MlflowException, OSError) as error:
        return f"Its artifact cannot be looked at: {str(error)[:200]}. Try again, or see the server's log."
    for name in sorted(manifest.keys() | found.keys()):
        if name not in found:
            return f"Its artifact is not whole any more: the file {name!r} is missing. Register it again."
        if name not in manifest:
            return f"Its artifact was changed: the file {name!r} was added. Register a new version."
        # A store that does not tell sizes says None.
        if found[name] is not None and found[name] != manifest[name][0]:
            return (
                f"Its artifact was changed: {name!r} has {found[name]:,} bytes, registered with"
                f" {manifest[name][0]:,}. Register a new version."
            )
    return None


def names_in(location: str, folder: str) -> list[str]:
    """Return the paths of the files in one folder below `location`, without those in folders of its own."""
    with _reached("look at", location):
        repository, path = _open(location)
        listed = repository.list_artifacts("/".join(part for part in (path, folder) if part))
    return [_below(path, entry.path) for entry in listed if not entry.is_dir]


def read_file(location: str, name: str, sha256: str) -> bytes:
    """Read one file of a registered artifact. Raises `ArtifactError` where it is not as registered."""
    with _reached("read", location), tempfile.TemporaryDirectory(prefix="greenroom-") as scratch:
        repository, path = _open(location)
        found = repository.download_artifacts(f"{path}/{name}" if path else name, dst_path=scratch)
        content = Path(found).read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ArtifactError(f"The file {name!r} is not the one that was registered")
    return content


def read_small(location: str, name: str, most_bytes: int) -> bytes:
    """Read one file at the top of a folder that nobody vouches for. Raises `ArtifactError`."""
    with _reached("read", location), tempfile.TemporaryDirectory(prefix="greenroom-") as scratch:
        repository, path = _open(location)
        sizes = {_below(path, f.path): f.file_size for f in repository.list_artifacts(path) if not f.is_dir}
        if name not in sizes:
            raise ArtifactError(f"There is no file {name!r}")
        # A store that does not tell sizes says None.
        if sizes[name] is None or sizes[name] > most_bytes:
            raise ArtifactError(f"The file {name!r} has {sizes[name]} bytes, expected at most {most_bytes:,}")
        found = repository.download_artifacts(f"{path}/{name}" if path else name, dst_path=scratch)
        return Path(found).read_bytes()


def fetch(location: str, manifest: dict[str, Any], what: str, cache: Path) -> Path:
    """Return the folder of a registered artifact in `cache`, by digest, every byte of it checked.

    Raises `ArtifactError`, naming the file, where it is not as it was registered.
    """
    expected = Manifest.from_files(manifest)
    cached = cache / expected.digest
    if not cached.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".download-", dir=cache))
        try:
            with _reached("read", location):
                repository, path = _open(location)
                folder = Path(repository.download_artifacts(path, dst_path=str(scratch)))
            expected.verify(folder, what)
            # Another worker may have been faster; what it left is checked below like any other.
            with suppress(OSError):
                folder.rename(cached)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    expected.verify(cached, f"{what}, in the server's cache,")
    return cached


def physical(location: str) -> str:
    """Return where an artifact really lies: a folder, or a URI of its store, without the server's proxy."""
    path = _proxied_path(location)
    if path is not None:
        location = f"{os.environ.get(ARTIFACTS_DESTINATION_ENV_VAR, _PROXIED)}/{path}"
    return (
        str(Path(local_file_uri_to_path(location)).resolve())
        if is_local_uri(location)
        else location.rstrip("/")
    )


def _proxied_path(location: str) -> str | None:
    parsed = urlparse(location)
    return parsed.path.strip("/") if parsed.scheme == _PROXIED else None


@contextmanager
def _reached(action: str, location: str) -> Iterator[None]:
    # MLflow passes on what boto3 raises.
    try:
        with translated(action, location):
            yield
    except StorageError as error:
        raise MlflowException(f"{error}. Try again", TEMPORARILY_UNAVAILABLE) from error


def _open(location: str) -> tuple[ArtifactRepository, str]:
    if location.startswith("runs:/"):
        run_id, below = RunsArtifactRepository.parse_runs_uri(location)
        root = handlers._get_tracking_store().get_run(run_id).info.artifact_uri  # noqa: SLF001  # as handlers do
        location = f"{root.rstrip('/')}/{below}"
    path = _proxied_path(location)
    if path is not None:
        return handlers._get_artifact_repo_mlflow_artifacts(), path  # noqa: SLF001  # its settings are its own
    try:
        return get_artifact_repository(location), ""
    except ImportError as error:
        # MLflow names stores that its own dependencies do not bring.
        raise MlflowException(
            f"{location} cannot be read: this server lacks a package for it ({error}). Ask an admin of the"
            " server to install it",
            INVALID_PARAMETER_VALUE,
        ) from error


def _files(repository: ArtifactRepository, path: str) -> Iterator[tuple[str, int | None]]:
    folders = [path]
    while folders:
        for entry in repository.list_artifacts(folders.pop()):
            if entry.is_dir:
                folders.append(entry.path)
            else:
                yield _below(path, entry.path), entry.file_size


def _below(path: str, name: str) -> str:
    return name.removeprefix(f"{path}/") if path else name
