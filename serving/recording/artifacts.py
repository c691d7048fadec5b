"""The columns of a served artifact by digest: a view says where it lies, or it is in the cache."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serving.following.view import read_view
from serving.routing.published import read_published

if TYPE_CHECKING:
    from collections.abc import Mapping

_CACHE_ABOVE = 3  # of the folder of a view


class Artifacts:
    """The artifacts of one model; what was read of one is kept, because it never changes."""

    def __init__(self, view: Path, published: Path) -> None:
        self._view, self._published = view, published
        self._known: dict[str, Mapping[str, str]] = {}

    def kinds_of(self, digest: str) -> Mapping[str, str]:
        """Return MLflow's types by column; none where there is no such artifact here, or no signature."""
        if digest not in self._known:
            found = _read_kinds(self._folder_of(digest))
            if found is None:
                return {}
            self._known[digest] = found
        return self._known[digest]

    def _folder_of(self, digest: str) -> Path:
        view, published = read_view(self._view), read_published(self._published)
        if view is not None and view.digest == digest and view.folder is not None:
            return Path(view.folder)
        for arm in published.arms if published is not None else ():
            if arm.digest == digest and arm.folder is not None:
                return Path(arm.folder)
        return self._view.parents[_CACHE_ABOVE] / "models" / digest


def _read_kinds(folder: Path) -> Mapping[str, str] | None:
    import yaml

    try:
        described: dict[str, Any] = yaml.safe_load((folder / "MLmodel").read_bytes())
        inputs = json.loads(described["signature"]["inputs"])
        return {str(column["name"]): str(column["type"]) for column in inputs}
    except (OSError, yaml.YAMLError, ValueError, KeyError, TypeError):
        return None
