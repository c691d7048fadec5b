"""The view: what the registry last said is to be served, as a small file that every worker reads.

Imported by the workers, so it needs nothing beyond the standard library.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeGuard
from urllib.parse import urlsplit

from serving.errors import ServingError
from serving.files import read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping

# As the registry has it; such a name is one folder, and none that leads elsewhere.
_MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_FORMATS, _STAGE = ("xgboost", "pyfunc"), "Production"
_NONE = type(None)
_VIEW: dict[str, tuple[type, ...]] = {
    "model": (str,),
    "version": (int, _NONE),
    "digest": (str, _NONE),
    "manifest": (str, _NONE),
    "folder": (str, _NONE),
    "format": (str,),
    "stage": (str,),
    "seen_at": (float, int),
    "reachable": (bool,),
    "problem": (str, _NONE),
    "refused": (dict, _NONE),
}
_REFUSED: dict[str, tuple[type, ...]] = {"version": (int,), "digest": (str, _NONE), "why": (str,)}


@dataclass(frozen=True)
class Refused:
    """A version that should be served, and is not; `why` is one sentence."""

    version: int
    digest: str | None
    why: str


@dataclass(frozen=True)
class View:
    """Which version of a model is to be served, from where, and how old that knowledge is.

    `folder` is the verified artifact, `manifest` what it must hold (`Manifest.to_json`). Where `version` is
    None, so are the three beside it, and there is nothing to serve: `problem` or `refused` say why, and
    where both are None, nothing is in Production.
    `seen_at` is when the registry last answered, in epoch seconds; 0 where it never did. `reachable` is
    whether it answered when it was last asked; if not, the version is the one before, and `problem` says why.
    """

    model: str
    version: int | None
    digest: str | None
    manifest: str | None
    folder: str | None
    format: Literal["xgboost", "pyfunc"]
    stage: Literal["Production"]
    seen_at: float
    reachable: bool
    problem: str | None
    refused: Refused | None


def cache_of(environment: Mapping[str, str]) -> Path:
    """Return where verified artifacts and views are kept."""
    home = environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(environment.get("GREENROOM_CACHE_DIR") or str(Path(home) / "greenroom"))


def view_path(cache: Path, registry_uri: str, model: str) -> Path:
    """Return where the view of a model lies. Raises `ServingError` for what can not be a model's name.

    The login in an address does not count: with a new password the view is found where it was.
    """
    if not _MODEL_NAME.fullmatch(model):
        raise ServingError(
            f"{model[:80]!r} is not a model name; expected up to 128 letters, digits, '-', '_', '.'"
        )
    address = urlsplit(registry_uri)
    bare = address._replace(netloc=address.netloc.rpartition("@")[2]).geturl().rstrip("/")
    server = hashlib.sha256(bare.encode()).hexdigest()[:16]
    return cache / "serving" / server / model / "view.json"


def read_view(path: Path) -> View | None:
    """Read a view; None where there is none, or what is there is no view of this Greenroom."""
    return _parse(read_json(path))


def write_view(path: Path, view: View) -> None:
    """Put a view in the place of the one before: whoever reads meanwhile finds one or the other, whole.

    Raises `OSError`, and then the one before is still there.
    """
    write_json(path, asdict(view))


def _parse(content: object) -> View | None:
    if not _fits(content, _VIEW):
        return None
    if content["refused"] is not None and not _fits(content["refused"], _REFUSED):
        return None
    about = [content[name] for name in ("version", "digest", "manifest", "folder")]
    if None in about and about != [None] * 4:
        return None
    if content["format"] not in _FORMATS or content["stage"] != _STAGE:
        return None
    refused = Refused(**content["refused"]) if content["refused"] else None
    return View(**{**content, "refused": refused})


def _fits(content: object, shape: dict[str, tuple[type, ...]]) -> TypeGuard[dict[str, Any]]:
    # By the exact type: to Python, true is a number too.
    return (
        isinstance(content, dict)
        and content.keys() == shape.keys()
        and all(type(content[name]) in kinds for name, kinds in shape.items())
    )
