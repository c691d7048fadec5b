"""Registration: a logged model becomes the next version of a name, and its manifest is fixed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.connection import translated
from registry.loading import download
from registry.manifest import Manifest
from registry.versions import AUTHOR_TAG, MANIFEST_TAG, check_name, read_version

if TYPE_CHECKING:
    from registry.connection import Registry
    from registry.versions import ModelVersion


def register(registry: Registry, name: str, model_uri: str, run_id: str) -> ModelVersion:
    """Register the model at `model_uri` (as `log_model` returned it) as the next version of `name`.

    The manifest is fixed here, once, from the bytes the server holds, and the author is recorded.
    """
    check_name(name)
    with translated(f"read back {model_uri}"), download(registry, model_uri) as folder:
        manifest = Manifest.of(folder)
    with translated(f"register {model_uri} as {name}"):
        if not registry.client.search_registered_models(f"name = '{name}'", max_results=1):
            registry.client.create_registered_model(name)
        tags = {AUTHOR_TAG: registry.user, MANIFEST_TAG: manifest.to_json()}
        # MLflow wants the id of its logged model beside the URI that contains it.
        model_id = model_uri.removeprefix("models:/")
        created = registry.client.create_model_version(
            name, model_uri, run_id, tags=tags, model_id=model_id, await_creation_for=0
        )
    return read_version(created)
