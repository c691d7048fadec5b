"""Routes as a follower publishes them, for endpoints that run `--offline`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local_versions import NOWHERE

from registry import Manifest
from serving.following.view import view_path
from serving.routing.published import ArmView, Places, Published, write_published

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from serving.routing.declaration import Mode


def places_of(cache: Path, model: str) -> Places:
    """Where the routes of a model lie, for an endpoint that is started with `--routes CACHE/routes`."""
    return Places.of(view_path(cache, NOWHERE, model), cache / "routes")


def arm_of(name: str, mode: Mode, version: int, folder: Path, **about: Any) -> ArmView:
    """An arm with an artifact of ours, or of the format that is named."""
    manifest = Manifest.of(folder)
    known = {"digest": manifest.digest, "manifest": manifest.to_json(), "folder": str(folder)}
    return ArmView(name, mode, version, **{**known, **about})


def publish_routes(cache: Path, published: Published) -> None:
    """Publish the routes of a model."""
    write_published(places_of(cache, published.model).published, published)
