"""Every package that an image needs, pinned: what the artifact requires, and what answers requests. Pure.

The versions are those that run here, save where the artifact says which it was trained with.
"""

from __future__ import annotations

import re
from importlib import metadata
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from serving.errors import ServingError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Hashes = Mapping[tuple[str, str], Sequence[str]]

# What an endpoint imports. The version of MLflow is what `/version` says.
SERVER = (
    "gunicorn", "httptools", "llvmlite", "mlflow", "numpy", "orjson", "prometheus-client", "pyarrow",
    "pyyaml", "uvicorn", "uvicorn-worker", "uvloop", "xgboost-cpu",
)  # fmt: skip
_LOCKED = re.compile(
    r"^([A-Za-z0-9._-]+)==(\S+)(?: ;[^\\\n]*)? \\\n((?: +--hash=\S+(?: \\)?\n)+)", re.MULTILINE
)
_HASH = re.compile(r"--hash=(\S+)")


def pin(required: str) -> dict[str, str]:
    """Return the version of each package, by its name: of the artifact's requirements, and the server's.

    Raises `ServingError` for a requirement that is no pin of a package, where no version of it runs here.
    """
    pinned = dict(_read(line) for line in required.splitlines() if line.strip() and line[0] != "#")
    found: dict[str, str] = {}
    waiting = [Requirement(name) for name in (*pinned, *SERVER)]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        wanted = waiting.pop()
        name, extras = canonicalize_name(wanted.name), frozenset(wanted.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        here = _installed(name)
        version = pinned.get(name) or (here.version if here else None)
        if version is None:
            raise ServingError(
                f"The artifact requires {name} without saying which version, and none runs here. Install"
                " the one that the image should have"
            )
        found[name] = version
        for line in (here.requires or ()) if here else ():
            further = Requirement(line)
            if any(_applies(further, extra) for extra in ("", *extras)):
                waiting.append(further)
    return dict(sorted(found.items()))


def read_hashes(lock: str) -> dict[tuple[str, str], list[str]]:
    """Return the hashes in a lock as pip reads it, by name and version."""
    return {
        (canonicalize_name(name), version): _HASH.findall(hashes)
        for name, version, hashes in _LOCKED.findall(lock)
    }


def write_requirements(pinned: Mapping[str, str], hashes: Hashes) -> tuple[str, bool]:
    """Write the requirements, and say whether all have hashes; pip takes them for all or for none."""
    is_hashed = all((name, version) in hashes for name, version in pinned.items())
    lines = []
    for name, version in pinned.items():
        known = hashes[name, version] if is_hashed else ()
        lines.append(" \\\n    ".join([f"{name}=={version}", *(f"--hash={each}" for each in known)]))
    return "\n".join(lines) + "\n", is_hashed


def _read(line: str) -> tuple[str, str | None]:
    try:
        requirement = Requirement(line.strip())
    except InvalidRequirement:
        raise ServingError(
            f"The artifact requires {line.strip()[:80]!r}, which is not the name of a package with"
            " its version"
        ) from None
    exact = [each.version for each in requirement.specifier if each.operator == "=="]
    return canonicalize_name(requirement.name), exact[0] if len(exact) == 1 else None


def _applies(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _installed(name: str) -> metadata.Distribution | None:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None
