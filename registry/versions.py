"""Model versions: find them, and resolve a name to one."""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.connection import translated
from registry.errors import (
    NothingOnStageError,
    RegistryError,
    RegistryUnavailableError,
    UnknownVersionError,
)
from registry.manifest import MANIFEST_TAG, Manifest
from registry.stages import ALIAS, Stage, stage_of

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion as MlflowVersion
    from mlflow.entities.model_registry import RegisteredModel

    from registry.connection import Registry

_MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_MODEL_URI = re.compile(r"models:/(?P<name>[^/@]+)(?:/(?P<at>[^/@]+)|@(?P<alias>[^/@]+))")
_NUMBER = re.compile(r"-?[0-9]{1,99}")
# What the registry database can hold.
_HIGHEST_VERSION = 2**31 - 1


@dataclass(frozen=True)
class ModelVersion:
    """A registered model version. The server wrote down its author and its manifest."""

    name: str
    version: int
    stage: Stage
    author: str | None
    run_id: str | None
    source: str
    created_at: dt.datetime
    manifest: Manifest | None

    @property
    def uri(self) -> str:
        """The MLflow URI of exactly this version."""
        return f"models:/{self.name}/{self.version}"

    @property
    def digest(self) -> str | None:
        """SHA-256 over the artifact's manifest; None where no manifest was fixed."""
        return self.manifest.digest if self.manifest else None


def resolve(registry: Registry, uri: str) -> ModelVersion:
    """Resolve `models:/NAME/Production`, `models:/NAME/3` or `models:/NAME@production` to a version.

    Resolve once and pass the version on: asked again, a stage may answer with another one. By its alias
    what is in Production takes one small request, however many versions there are.
    """
    match, shown = _MODEL_URI.fullmatch(uri), uri[:200]
    if match is None:
        raise UnknownVersionError(
            f"{shown!r} does not name a model version; expected models:/NAME/STAGE,"
            " models:/NAME/VERSION or models:/NAME@production"
        )
    name, at, alias = match["name"], match["at"], match["alias"]
    if alias is not None and alias != ALIAS:
        raise UnknownVersionError(f"{shown!r} asks for an alias; only @{ALIAS} is kept")
    if at is not None and _NUMBER.fullmatch(at):
        return find_version(registry, name, int(at))
    if alias and (live := _aliased(registry, name)):
        return live
    wanted = "Production" if alias else at
    if wanted not in set(Stage):
        stages = ", ".join(Stage)
        raise UnknownVersionError(
            f"{shown!r} asks for what is neither a version number nor a stage. Stages are {stages},"
            " written exactly so"
        )
    found = [v for v in list_versions(registry, name) if v.stage == wanted]
    if not found:
        raise NothingOnStageError(
            f"No version of {name} is in {wanted}. See what there is: python -m registry list {name}"
        )
    return found[-1]


def _aliased(registry: Registry, name: str) -> ModelVersion | None:
    # None is no answer: why there is no such alias, or who may not see it, the list of versions says.
    check_name(name)
    try:
        with translated(f"find what of {name} is in Production"):
            found = read_version(registry.client.get_model_version_by_alias(name, ALIAS))
    except RegistryUnavailableError:
        raise
    except RegistryError:
        return None
    return found if found.stage is Stage.PRODUCTION else None


def find_version(registry: Registry, name: str, version: int) -> ModelVersion:
    """Return one version by its number."""
    check_name(name)
    if not 1 <= version <= _HIGHEST_VERSION:
        raise UnknownVersionError(
            f"{name} has no version {version}: versions are counted from 1. See which there are:"
            f" python -m registry list {name}"
        )
    # Asked first: to a login that is no admin, MLflow answers 403 for versions of no model.
    find_model(registry, name)
    try:
        with translated(f"find {name} version {version}"):
            return read_version(registry.client.get_model_version(name, str(version)))
    except UnknownVersionError as error:
        raise UnknownVersionError(
            f"{name} has no version {version}. See which there are: python -m registry list {name}"
        ) from error


def list_versions(registry: Registry, name: str | None = None) -> list[ModelVersion]:
    """Return all versions, of one model or of all, by name and number.

    Raises `UnknownVersionError` where a named model does not exist.
    """
    if name is not None:
        find_model(registry, name)
    found: list[ModelVersion] = []
    token: str | None = None
    query = f"name = '{name}'" if name else None
    while True:
        with translated("list model versions"):
            page = registry.client.search_model_versions(query, 200, page_token=token)
        found += [read_version(version) for version in page]
        token = page.token
        if not token:
            return sorted(found, key=lambda v: (v.name, v.version))


def check_name(name: str) -> None:
    """Raise `UnknownVersionError` for what can not be the name of a model."""
    if not _MODEL_NAME.fullmatch(name):
        raise UnknownVersionError(
            f"{name[:80]!r} is not a model name; expected up to 128 letters, digits, '-', '_', '.'"
        )


def find_model(registry: Registry, name: str) -> RegisteredModel:
    """Return MLflow's registered model; raise `UnknownVersionError` where there is none."""
    check_name(name)
    try:
        with translated(f"find the model {name}"):
            return registry.client.get_registered_model(name)
    except UnknownVersionError as error:
        raise UnknownVersionError(
            f"There is no registered model {name!r}. See which there are: python -m registry list"
        ) from error


def read_version(version: MlflowVersion) -> ModelVersion:
    """Read MLflow's description of a version."""
    manifest = version.tags.get(MANIFEST_TAG)
    return ModelVersion(
        name=version.name,
        version=int(version.version),
        stage=stage_of(version),
        author=version.user_id or None,
        run_id=version.run_id or None,
        source=version.source,
        created_at=dt.datetime.fromtimestamp(version.creation_timestamp / 1000, dt.UTC),
        manifest=Manifest.from_files(json.loads(manifest)) if manifest else None,
    )
