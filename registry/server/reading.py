"""What a reviewer reads: versions with their standing, what waits, and what the rules say. Writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion

from registry import policy
from registry.policy import Act
from registry.server import artifacts, decisions, identity, tables, versions
from registry.server.decisions import Asked
from registry.stages import Stage

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from registry.ledger import Line
    from registry.server.store import GreenroomStore
    from registry.server.versions import Version


@dataclass(frozen=True)
class Dossier:
    """One version as a reviewer sees it.

    `lines` is its history. `refusals` says, for each act, why the caller may not do it now; empty where
    they may. `signature_breaks` says what would break for clients of the champion.
    """

    candidate: Version
    champion: Version | None
    lines: tuple[Line, ...]
    signature_breaks: tuple[str, ...]
    refusals: dict[Act, tuple[str, ...]]


@dataclass(frozen=True)
class Exposing:
    """A version that may answer clients, or that this was asked for.

    `breaks` says what would break for clients of the champion: one that came later may take other rows.
    """

    version: Version
    breaks: tuple[str, ...]

    @property
    def answers(self) -> bool:
        """Whether it may answer clients now."""
        begun = self.version.standing.exposure.begun
        return begun is not None and begun.digest == self.version.standing.digest and not self.breaks


def read_dossier(store: GreenroomStore, model: str, number: int) -> Dossier:
    """Read all that is decided upon. Raises MLflow's own error where there is no such version."""
    actor = identity.actor(store.rules.reviewer_role)
    with store.sessions() as session:
        location = versions.read_version(session, model, number)
    artifact = location.standing.artifact
    obstacle = artifacts.obstacle(location.location, artifact["manifest"]) if artifact else None
    with store.sessions() as session:
        version = versions.read_version(session, model, number)
        # With a reason that passes: the form asks for one.
        asked = Asked(Act.APPROVE, model, number, "…", "", accepts_signature_change=True, obstacle=obstacle)
        facts = decisions.facts_of(session, version, asked, actor)
        return Dossier(
            candidate=version,
            champion=versions.champion_of(session, model),
            lines=tuple(tables.lines(session, model, number)),
            signature_breaks=facts.signature_breaks,
            refusals={act: policy.refusals(act, facts, store.rules) for act in Act},
        )


def read_queue(store: GreenroomStore) -> list[Version]:
    """Return the versions that wait for a reviewer and that the caller may see, longest first."""
    with store.sessions() as session:
        waiting = [v for v in _staged(session) if v.standing.request is not None]
    allowed = {model: identity.may_read(model) for model in {v.model for v in waiting}}
    shown = [v for v in waiting if allowed[v.model]]
    return sorted(shown, key=lambda v: v.standing.request.number if v.standing.request else 0)


def read_exposures(store: GreenroomStore, model: str | None = None) -> list[Exposing]:
    """Return the versions that may answer clients or wait for it, and that the caller may see."""
    with store.sessions() as session:
        found = [v for v in _staged(session, model) if v.standing.exposure.request is not None]
        champions = {name: versions.champion_of(session, name) for name in {v.model for v in found}}
    allowed = {name: identity.may_read(name) for name in champions}
    shown = sorted(found, key=lambda v: (v.model, v.number))
    return [Exposing(v, decisions.breaks_clients(champions[v.model], v)) for v in shown if allowed[v.model]]


def read_lines(store: GreenroomStore, model: str | None, after: int, limit: int) -> list[Line]:
    """Return a page of the ledger, oldest first."""
    with store.sessions() as session:
        return tables.lines(session, model, after=after, limit=limit)


def _staged(session: Session, model: str | None = None) -> list[Version]:
    table = SqlModelVersion.__table__
    query = sa.select(table.c.name, table.c.version).where(table.c.current_stage == Stage.STAGING)
    if model is not None:
        query = query.where(table.c.name == model)
    return [versions.read_version(session, row.name, row.version) for row in session.execute(query)]
