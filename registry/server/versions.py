"""The versions of a model as a transaction sees them: MLflow's rows, and where the ledger leaves them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from mlflow.exceptions import MlflowException
from mlflow.prompt.constants import IS_PROMPT_TAG_KEY
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion, SqlRegisteredModelTag
from mlflow.utils.workspace_utils import DEFAULT_WORKSPACE_NAME

from registry.ledger import Action
from registry.server import tables
from registry.server.install import DELETED
from registry.stages import Stage
from registry.standing import Standing, standing_of

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

# What the databases can hold; beyond it, their drivers fail.
HIGHEST_VERSION = 2**31 - 1


@dataclass(frozen=True)
class Version:
    """A version as the transaction sees it."""

    model: str
    number: int
    stage: Stage
    run_id: str | None
    source: str
    location: str
    standing: Standing


def read_version(session: Session, model: str, number: int) -> Version:
    """Read a version and its standing. Raises MLflow's own error where there is none."""
    within = 0 < number <= HIGHEST_VERSION
    row = (
        session.execute(_versions(model).where(SqlModelVersion.version == number)).first() if within else None
    )
    if row is None:
        raise MlflowException(
            f"Model Version (name={model}, version={number}) not found", RESOURCE_DOES_NOT_EXIST
        )
    return _version(session, row)


def numbers_of(session: Session, model: str) -> list[int]:
    """Return the numbers of all versions of a model that are not deleted."""
    return sorted(row.version for row in session.execute(_versions(model)))


def is_prompt(session: Session, model: str) -> bool:
    """Whether MLflow keeps a prompt under this name."""
    found = session.get(SqlRegisteredModelTag, (DEFAULT_WORKSPACE_NAME, IS_PROMPT_TAG_KEY, model))
    return found is not None and str(found.value).lower() == "true"


def champion_of(session: Session, model: str) -> Version | None:
    """Read the version in Production."""
    row = session.execute(_versions(model).where(SqlModelVersion.current_stage == Stage.PRODUCTION)).first()
    return _version(session, row) if row else None


def version_before(session: Session, model: str) -> int:
    """Return the version that a rollback without a number goes to.

    A rollback takes a version off the pile, so that a second one goes further back and not forth.
    """
    pile: list[int] = []
    existing = {row.version for row in session.execute(_versions(model))}
    for line in tables.lines(session, model):
        found_there = line.action is Action.REGISTERED
        if (found_there or line.action is Action.DELETED) and line.version in pile:
            # A number is used again where a model was deleted and made anew.
            pile.remove(line.version)
        if line.to_stage is Stage.PRODUCTION and (found_there or line.from_stage is not Stage.PRODUCTION):
            if line.version in pile:
                del pile[pile.index(line.version) + 1 :]
            else:
                pile.append(line.version)
    champion = champion_of(session, model)
    earlier = [v for v in pile if v in existing and (champion is None or v != champion.number)]
    if not earlier:
        raise MlflowException(
            f"{model} has no earlier Production version to go back to. See: python -m registry history"
            f" {model}",
            RESOURCE_DOES_NOT_EXIST,
            nothing_on_stage=True,
        )
    return earlier[-1]


def deleted_behind(session: Session, version: Version) -> str | None:
    """Say what MLflow has marked as deleted of what a version comes from."""
    # What is deleted in MLflow is erased by `mlflow gc`, its artifact first.
    query = sa.text(
        "SELECT 'run' FROM runs r WHERE r.lifecycle_stage = 'deleted' AND (r.run_uuid = :run OR"
        " substr(:location || '/', 1, length(r.artifact_uri) + 1) = r.artifact_uri || '/')"
        " UNION ALL SELECT 'experiment' FROM experiments e JOIN runs r ON r.experiment_id = e.experiment_id"
        " WHERE r.run_uuid = :run AND e.lifecycle_stage = 'deleted'"
        " UNION ALL SELECT 'logged model' FROM logged_models g WHERE g.lifecycle_stage = 'deleted' AND"
        " ('models:/' || g.model_id = :source OR substr(:location || '/', 1, length(g.artifact_location) + 1)"
        " = g.artifact_location || '/')"
    )
    found = session.execute(
        query, {"run": version.run_id or "", "source": version.source, "location": version.location}
    ).first()
    if found is None:
        return None
    return (
        f"The {found[0]} it comes from is deleted in MLflow, and mlflow gc would erase its artifact. Restore"
        f" the {found[0]} first."
    )


def _versions(model: str) -> sa.Select[Any]:
    table = SqlModelVersion.__table__
    return sa.select(table).where(table.c.name == model, table.c.current_stage != DELETED)


def _version(session: Session, row: Any) -> Version:
    return Version(
        model=row.name,
        number=row.version,
        stage=Stage(row.current_stage),
        run_id=row.run_id or None,
        source=row.source or "",
        location=row.storage_location or row.source or "",
        standing=_with_author(standing_of(tables.lines(session, row.name, row.version)), row.user_id),
    )


def _with_author(standing: Standing, recorded: str | None) -> Standing:
    return standing if standing.author else replace(standing, author=recorded)
