"""The models of this server, and what is in Production of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa
from mlflow.prompt.constants import IS_PROMPT_TAG_KEY
from mlflow.store.model_registry.dbmodels.models import SqlRegisteredModel, SqlRegisteredModelTag

from registry.server import identity, tables, versions
from registry.stages import Stage

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from registry.ledger import Line
    from registry.server.store import GreenroomStore

PAGE = 100


@dataclass(frozen=True)
class Model:
    """A model: the version in Production, and the line that put it there."""

    name: str
    live: int | None
    entered: Line | None


def read_models(store: GreenroomStore, after: str = "") -> tuple[list[Model], str]:
    """Return the models after a name that the caller may see, and the name to go on after, if any."""
    model, tag = SqlRegisteredModel.__table__, SqlRegisteredModelTag.__table__
    prompts = sa.select(tag.c.name).where(
        tag.c.key == IS_PROMPT_TAG_KEY, sa.func.lower(tag.c.value) == "true"
    )
    query = sa.select(model.c.name).where(model.c.name > after, model.c.name.not_in(prompts))
    with store.sessions() as session:
        names = list(session.scalars(query.order_by(model.c.name).limit(PAGE + 1)))
    allowed = [name for name in names[:PAGE] if identity.may_read(name)]
    with store.sessions() as session:
        return [_read(session, name) for name in allowed], names[PAGE - 1] if len(names) > PAGE else ""


def exists(store: GreenroomStore, name: str) -> bool:
    """Whether there is such a model now, and it is no prompt. Its history may be older."""
    with store.sessions() as session:
        found = session.scalar(sa.select(SqlRegisteredModel.name).where(SqlRegisteredModel.name == name))
        return found is not None and not versions.is_prompt(session, name)


def read_history(store: GreenroomStore, name: str) -> list[Line]:
    """Return all lines about a model, oldest first."""
    with store.sessions() as session:
        return tables.lines(session, name)


def _read(session: Session, name: str) -> Model:
    champion = versions.champion_of(session, name)
    if champion is None:
        return Model(name, None, None)
    lines = tables.lines(session, name, champion.number)
    entered = [line for line in lines if line.to_stage is Stage.PRODUCTION]
    moved = [line for line in entered if line.from_stage is not Stage.PRODUCTION] or entered
    return Model(name, champion.number, moved[-1] if moved else None)
