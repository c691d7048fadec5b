"""Which version an arm is to have, or why it gets none: what is declared, held against the registry. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.stages import Stage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry import Exposed, ModelVersion
    from serving.routing.declaration import Challenger, Routes


@dataclass(frozen=True)
class Known:
    """What the registry says of a model: its versions, and which may answer clients, by their numbers."""

    versions: Mapping[int, ModelVersion]
    exposed: Mapping[int, Exposed]


def candidate(each: Challenger, routes: Routes, known: Known, where: str) -> ModelVersion | str:
    """Return the version that an arm of the file `where` is to have, or one sentence on why none."""
    found = _named(each, known)
    if found is None:
        if each.version is None:
            return f"no version of {routes.model} is in Staging"
        return (
            f"{where}: challengers ({each.arm}): version {each.version} is unknown; {routes.model} has"
            f" {_listed(known)}"
        )
    what = f"version {found.version}"
    if found.stage is Stage.PRODUCTION:
        return f"{what} is in Production, so it is the champion"
    for other in routes.challengers:
        if each.version is None and other.version == found.version:
            return f"{what} is in Staging, and it is that of arm {other.arm!r} already"
    if found.digest is None:
        return f"{what} was registered without a manifest, so nobody can say what its artifact should be"
    return _why_not_let(each, found, known, routes.model) or found


def _why_not_let(each: Challenger, found: ModelVersion, known: Known, model: str) -> str | None:
    what, ask = f"version {found.version}", f"python -m registry request {model} {found.version}"
    if each.mode == "shadow":
        if found.stage is Stage.STAGING:
            return None
        return f"{what} is in {found.stage}, and a shadow has to be in Staging: {ask}"
    exposed = known.exposed.get(found.version)
    if exposed is None:
        return f"{what} has no approval for exposure, which answering clients takes: {ask} --exposure"
    if exposed.digest != found.digest:
        return f"{what} has an approval for exposure of another artifact, {exposed.digest[:12]}…"
    return None


def _named(each: Challenger, known: Known) -> ModelVersion | None:
    if each.version is not None:
        return known.versions.get(each.version)
    staged = [found for found in known.versions.values() if found.stage is Stage.STAGING]
    return max(staged, key=lambda found: found.version, default=None)


def _listed(known: Known) -> str:
    if not known.versions:
        return "none"
    return f"{len(known.versions)}, the last is {max(known.versions)}"
