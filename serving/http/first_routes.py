"""What workers record by before the follower has looked at the routes for the first time."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from serving.files import stamp_of
from serving.routing.declaration import routes_file
from serving.routing.published import Places, Published, read_published, write_published

if TYPE_CHECKING:
    from collections.abc import Sequence


def publish_recording(models: Sequence[str], places: Sequence[Places], folder: str) -> None:
    """Publish what routes files say of recording, where nothing was published before.

    So the first answer of a new endpoint has a prediction id and is recorded as all later ones. Where others
    than the champion may answer, that takes the registry to say: those first answers are not recorded, or
    they would count for the wrong arm. What is wrong with a file the follower tells.
    """
    for model, place in zip(models, places, strict=True):
        file = Path(folder) / routes_file(model)
        if stamp_of(file) is None or read_published(place.published) is not None:
            continue
        # Workers have no use for it, so none of their memory is spent on YAML where it is not needed.
        from serving.errors import RoutesError
        from serving.routing.parsing import parse_routes

        with suppress(OSError, UnicodeDecodeError, RoutesError):
            routes = parse_routes(file.read_text(), model, str(file))
            if all(challenger.mode == "shadow" for challenger in routes.challengers):
                first = Published(model, entity=routes.entity, record=routes.record)
                write_published(place.published, first)
