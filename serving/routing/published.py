"""`routes.json`: what the follower made of a routes file, for the processes that answer, try and record.

Imported by the workers, so it needs nothing beyond the standard library.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from serving.files import read_json, write_json
from serving.routing.buckets import ALL_CHAMPION, Table, runs_of, table_of
from serving.routing.declaration import EntityKey, Guards, Recording

if TYPE_CHECKING:
    from pathlib import Path

    from serving.routing.declaration import Mode


@dataclass(frozen=True)
class Places:
    """Where the files of a model's routes lie: one folder for each folder of routes files."""

    folder: Path

    @classmethod
    def of(cls, view: Path, routes: Path) -> Places:
        """Return them for the view of a model and the folder of routes files.

        Two endpoints on one machine may share a cache, and be told to route otherwise.
        """
        return cls(view.parent / "routes" / hashlib.sha256(str(routes.absolute()).encode()).hexdigest()[:16])

    @property
    def published(self) -> Path:
        """What the follower publishes."""
        return self.folder / "routes.json"

    @property
    def watch(self) -> Path:
        """What the recorder saw of each arm."""
        return self.folder / "watch.json"

    @property
    def spool(self) -> Path:
        """Where workers put exposures."""
        return self.folder / "spool"

    @property
    def shared(self) -> Path:
        """The shared object as it was last seen, and what is to be written to it."""
        return self.folder / "shared.json"

    @property
    def declared(self) -> Path:
        """The last routes file that could be read."""
        return self.folder / "declared.yaml"


@dataclass(frozen=True)
class ArmView:
    """A challenger as the follower has it. `idle` is why it gets no traffic; None: it may have it.

    Where `idle` is None, the artifact is there, verified and tried. `step` and `since` (epoch seconds) are
    where the ramp of a canary is, `percent` what it and an `ab` arm get; `approved_at` is when they were let
    answer clients (ISO 8601).
    """

    arm: str
    mode: Mode
    version: int | None = None
    digest: str | None = None
    manifest: str | None = None
    folder: str | None = None
    format: Literal["xgboost", "pyfunc"] = "xgboost"
    idle: str | None = None
    percent: float = 0.0
    step: int | None = None
    since: float | None = None
    guards: Guards | None = None
    approved_at: str | None = None


@dataclass(frozen=True)
class Published:
    """All of it. `problem` is what is wrong with the routes file or the shared object, if anything is."""

    model: str
    arms: tuple[ArmView, ...] = ()
    table: Table = ALL_CHAMPION
    entity: EntityKey | None = None
    record: Recording | None = None
    problem: str | None = None


def write_published(path: Path, published: Published) -> None:
    """Put it in the place of the one before. Raises `OSError`, and then the one before is still there."""
    write_json(path, {**asdict(published), "table": runs_of(published.table)})


def read_published(path: Path) -> Published | None:
    """Read it; None where there is none, or what is there is none of this Greenroom."""
    found = read_json(path)
    if found is None or found.keys() != {each.name for each in fields(Published)}:
        return None
    try:
        return Published(
            model=found["model"],
            arms=tuple(_arm(each) for each in found["arms"]),
            table=table_of(tuple(run) for run in found["table"]),
            entity=EntityKey(**found["entity"]) if found["entity"] else None,
            record=Recording(**found["record"]) if found["record"] else None,
            problem=found["problem"],
        )
    except (TypeError, ValueError, KeyError, AttributeError):
        return None


def _arm(found: dict[str, Any]) -> ArmView:
    view = ArmView(**{**found, "guards": Guards(**found["guards"]) if found["guards"] else None})
    if view.idle is None and None in {view.version, view.digest, view.manifest, view.folder}:
        raise ValueError(f"arm {view.arm!r} is to have traffic, and has no artifact")
    return view
