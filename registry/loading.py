"""From a registered version to a verified, loaded scorer."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from registry.connection import translated
from registry.errors import ArtifactError
from registry.foreign import ForeignScorer
from registry.formats import format_of
from registry.manifest import Manifest
from registry.scorer import AnyScorer, Scorer
from registry.versions import ModelVersion, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.connection import Registry


def load(registry: Registry, version: ModelVersion | str) -> AnyScorer:
    """Return the scorer of a version, given itself or as a URI (`models:/NAME/Production`).

    The artifact's digest is checked before a byte of it is parsed. No code in it is run, unless
    `registry.formats` allows `pyfunc` and the artifact is not one of ours.
    """
    found = resolve(registry, version) if isinstance(version, str) else version
    folder = fetch(registry, found)
    if "pyfunc" in registry.formats and format_of(folder, Manifest.of(folder)) == "pyfunc":
        return ForeignScorer.read(folder, found)
    return Scorer.read(folder, found)


def fetch(registry: Registry, version: ModelVersion) -> Path:
    """Return the folder of the verified artifact, downloading it if the cache has no such digest."""
    if version.manifest is None:
        raise ArtifactError(
            f"{version.name} version {version.version} was registered without a manifest, so nobody"
            " can say what its artifact should be. Register it through: mlflow run ."
        )
    what = f"{version.name} version {version.version}"
    cached = registry.cache / "models" / version.manifest.digest
    if not cached.is_dir():
        cached.parent.mkdir(parents=True, exist_ok=True)
        with (
            translated(f"download {what}"),
            download(registry, version, beside=cached.parent) as folder,
        ):
            version.manifest.verify(folder, what)
            try:
                folder.rename(cached)
            except OSError:
                # Another process was faster; what it left is verified below like any other.
                if not cached.is_dir():
                    raise
    version.manifest.verify(cached, f"{what}, in the cache {cached},")
    return cached


@contextmanager
def download(registry: Registry, version: ModelVersion, beside: Path | None = None) -> Iterator[Path]:
    """Download an artifact to a folder that is gone afterwards, unless it was moved away."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    scratch = Path(tempfile.mkdtemp(prefix=".download-", dir=beside))
    try:
        # Not by its `models:/` URI: MLflow would look that up wherever its global setting points.
        location = registry.client.get_model_version_download_uri(version.name, str(version.version))
        artifact = get_artifact_repository(location, tracking_uri=registry.uri, registry_uri=registry.uri)
        yield Path(artifact.download_artifacts("", dst_path=str(scratch)))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
