"""Registration: a logged model becomes the next version of a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.connection import translated
from registry.errors import RegistryError
from registry.versions import check_name, read_version

if TYPE_CHECKING:
    from registry.connection import Registry
    from registry.versions import ModelVersion


def register(registry: Registry, name: str, model_uri: str, run_id: str) -> ModelVersion:
    """Register the model at `model_uri` (as `log_model` returned it) as the next version of `name`.

    The server writes down the author, who is the login, and the manifest of the bytes it holds.
    """
    check_name(name)
    with translated(f"register {model_uri} as {name}"):
        if not registry.client.search_registered_models(f"name = '{name}'", max_results=1):
            registry.client.create_registered_model(name)
        # MLflow wants the id of its logged model beside the URI that contains it.
        model_id = model_uri.removeprefix("models:/")
        created = registry.client.create_model_version(
            name, model_uri, run_id, model_id=model_id, await_creation_for=0
        )
    version = read_version(created)
    if version.manifest is None:
        raise RegistryError(
            f"{name} version {version.version} was registered without a manifest: this MLflow server runs"
            " without Greenroom, or the artifact is empty. See docs/team.md"
        )
    return version
