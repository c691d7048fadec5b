"""From a version that the registry names to one that may be served: fetched, verified, tried."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from registry import Manifest, fetch
from registry.errors import ArtifactError
from registry.formats import format_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry import ModelVersion, Registry
    from serving.following.view import View

    Try = Callable[[Path, str, str], str | None]


@dataclass(frozen=True)
class Prepared:
    """A version whose artifact is verified, and answered its example as it should."""

    version: int
    manifest: Manifest
    folder: Path
    format: Literal["xgboost", "pyfunc"]


def prepare(registry: Registry, version: ModelVersion, try_it: Try) -> Prepared:
    """Fetch, verify and try a version; `try_it` takes folder, name and format, and returns what is wrong.

    Raises `ArtifactError` where it may not be served, else what `registry.fetch` raises.
    """
    what = f"{version.name} version {version.version}"
    folder = fetch(registry, version).absolute()
    manifest = Manifest.of(folder)
    kind = format_of(folder, manifest)
    if kind not in registry.formats:
        raise ArtifactError(
            f"{what} is in the format {kind!r}, and GREENROOM_ARTIFACT_FORMATS allows"
            f" {', '.join(registry.formats)} here"
        )
    if wrong := try_it(folder, what, kind):
        raise ArtifactError(wrong)
    return Prepared(version.version, manifest, folder, cast('Literal["xgboost", "pyfunc"]', kind))


def why_unsound(view: View, formats: tuple[str, ...]) -> str | None:
    """Say why what an earlier process published can not be relied on; None where it is all there."""
    if view.folder is None or view.manifest is None:
        return "there is no version in it"
    if view.format not in formats:
        return f"it is in the format {view.format!r}, which is not allowed here any more"
    try:
        manifest = Manifest.from_files(json.loads(view.manifest))
        manifest.verify(
            Path(view.folder), f"{view.model} version {view.version}, in the cache {view.folder},"
        )
    except (ArtifactError, OSError) as error:
        return str(error)
    except (ValueError, TypeError, AttributeError):
        return "its manifest can not be read"
    return None if manifest.digest == view.digest else "its manifest has another digest"
