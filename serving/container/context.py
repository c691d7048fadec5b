"""The folder that an image is built from: all that serves one version, and nothing to be fetched at start."""

from __future__ import annotations

import platform
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from serving.container.dockerfile import write_dockerfile
from serving.container.pins import pin, read_hashes, write_requirements
from serving.errors import ServingError
from serving.following.view import View, view_path, write_view

if TYPE_CHECKING:
    from registry import Manifest

_ROOT = Path(__file__).parents[2]
# What an endpoint that asks no registry imports of ours.
_ROOMS = ("registry", "serving")
# An image answers without the registry and without S3: it has no routes, and records nothing.
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "server", "*.yaml")


@dataclass(frozen=True)
class Subject:
    """The version that is to be served: its artifact is in `folder`, and was held against `manifest`."""

    model: str
    version: int
    folder: Path
    manifest: Manifest
    format: Literal["xgboost", "pyfunc"]


def write_context(out: Path, subject: Subject) -> None:
    """Write the folder, whole or not at all.

    Raises `ServingError` where there is something already, or what the artifact requires cannot be pinned.
    """
    check_free(out)
    out.absolute().parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.absolute().parent))
    try:
        beside.chmod(0o755)
        _fill(beside, subject)
        beside.rename(out.absolute())
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def check_free(out: Path) -> None:
    """Raise `ServingError` unless a folder can be written here without writing over anything."""
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise ServingError(
            f"{out} is there already, and not an empty folder; nothing was written. Choose another, or"
            " remove it"
        )


def _fill(out: Path, subject: Subject) -> None:
    digest = subject.manifest.digest
    artifact = Path("cache", "models", digest)
    shutil.copytree(subject.folder, out / artifact)
    subject.manifest.verify(out / artifact, f"{subject.model} version {subject.version}, copied to {out},")
    # Its SHA-256 is the digest.
    (out / "manifest.json").write_text(subject.manifest.to_json())
    # No address: nothing is asked. The folder is relative to where the command of the image runs.
    write_view(view_path(out / "cache", "", subject.model), _view(subject, str(artifact)))
    for room in _ROOMS:
        shutil.copytree(_ROOT / room, out / room, ignore=_LEFT_OUT)
    required = subject.folder / "requirements.txt"
    pinned = pin(required.read_text() if required.is_file() else "")
    lock = _ROOT / "requirements.lock"
    requirements, is_hashed = write_requirements(
        pinned, read_hashes(lock.read_text()) if lock.is_file() else {}
    )
    (out / "requirements.txt").write_text(requirements)
    dockerfile = write_dockerfile(
        subject.model, subject.version, digest, platform.python_version(), is_hashed=is_hashed
    )
    (out / "Dockerfile").write_text(dockerfile)


def _view(subject: Subject, folder: str) -> View:
    return View(
        model=subject.model,
        version=subject.version,
        digest=subject.manifest.digest,
        manifest=subject.manifest.to_json(),
        folder=folder,
        format=subject.format,
        stage="Production",
        seen_at=time.time(),
        reachable=True,
        problem=None,
        refused=None,
    )
