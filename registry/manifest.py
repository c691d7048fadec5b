"""The manifest of an artifact: every file with its size and SHA-256. What is approved is this."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# Where a version keeps it; the server writes the tag and lets nobody change it.
MANIFEST_TAG = "greenroom.manifest"
# MLflow adds this file when it downloads a registered model; it is the only one outside a manifest.
OUTSIDE = "registered_model_meta"


@dataclass(frozen=True)
class ManifestFile:
    """One file of an artifact; `path` is relative to it, with forward slashes."""

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """All files of an artifact, sorted by path."""

    files: tuple[ManifestFile, ...]

    @classmethod
    def of(cls, folder: Path) -> Manifest:
        """Read the manifest of an artifact on disk. Raises `ArtifactError` for a link in it."""
        files = []
        for path in folder.rglob("*"):
            relative = path.relative_to(folder).as_posix()
            if path.is_symlink():
                raise ArtifactError(f"{folder} holds the link {relative!r}; an artifact holds files only")
            if path.is_dir():
                continue
            if relative == OUTSIDE:
                continue
            with path.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            files.append(ManifestFile(relative, path.stat().st_size, sha256))
        return cls(tuple(sorted(files, key=lambda f: f.path)))

    @classmethod
    def from_files(cls, files: Mapping[str, tuple[int, str]]) -> Manifest:
        """Read the form of `to_json`: path to size in bytes and SHA-256."""
        return cls(tuple(ManifestFile(path, size, sha256) for path, (size, sha256) in files.items()))

    def to_json(self) -> str:
        """Write it canonically: equal manifests give equal text."""
        files = {f.path: (f.size_bytes, f.sha256) for f in self.files}
        return json.dumps(files, sort_keys=True, separators=(",", ":"))

    @property
    def digest(self) -> str:
        """SHA-256 over the canonical text: one value for the whole artifact."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def sha256_of(self, path: str) -> str | None:
        """Return the SHA-256 of one file, None where there is no such file."""
        return next((f.sha256 for f in self.files if f.path == path), None)

    def verify(self, folder: Path, what: str) -> None:
        """Raise `ArtifactError`, naming the file, unless the folder holds exactly these files."""
        found = {f.path: f for f in Manifest.of(folder).files}
        expected = {f.path: f for f in self.files}
        for path in sorted(found.keys() | expected.keys()):
            if path not in found:
                problem = "is missing"
            elif path not in expected:
                problem = "was added"
            elif found[path] != expected[path]:
                problem = (
                    f"was changed: SHA-256 {found[path].sha256[:12]}…, registered with"
                    f" {expected[path].sha256[:12]}…"
                )
            else:
                continue
            raise ArtifactError(
                f"{what} is not the artifact that was registered: the file {path!r} {problem}."
                " It is not loaded; find out who changed it, and register a new version"
            )
