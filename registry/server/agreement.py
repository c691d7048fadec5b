"""Whether MLflow's own tables say what the ledger says.

The guards see to it. Whoever owns the database can put one aside, change a stage, and put it back; the
chain stays whole then, and only a comparison shows it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa
from mlflow.store.model_registry.dbmodels.models import SqlRegisteredModelAlias

from registry.errors import RegistryError
from registry.manifest import MANIFEST_TAG, Manifest
from registry.stages import ALIAS

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

_PROMPT = (
    "EXISTS (SELECT 1 FROM registered_model_tags t WHERE t.workspace = {0}.workspace AND t.name = {0}.name"
    " AND t.key = 'mlflow.prompt.is_prompt' AND lower(t.value) = 'true')"
)
# One statement each, so that a decision made meanwhile is seen as a whole or not at all.
_VERSIONS = sa.text(
    "SELECT v.name, v.version, v.current_stage, l.number, l.to_stage, l.digest, g.value AS manifest"  # noqa: S608  # constants
    " FROM model_versions v LEFT JOIN greenroom_ledger l ON l.number = (SELECT max(m.number)"
    " FROM greenroom_ledger m WHERE m.model = v.name AND m.version = v.version)"
    " LEFT JOIN model_version_tags g ON g.workspace = v.workspace AND g.name = v.name"
    " AND g.version = v.version AND g.key = :manifest"
    f" WHERE v.current_stage <> 'Deleted_Internal' AND NOT {_PROMPT.format('v')} ORDER BY v.name, v.version"
)
_LIVE = "v.workspace = a.workspace AND v.name = a.name AND v.current_stage = 'Production'"
_ALIASES = sa.text(
    # Of a model with a version in Production: missing, or naming another.
    "SELECT v.workspace, v.name, v.version AS live, a.alias, a.version AS named FROM model_versions v"  # noqa: S608  # constants
    f" LEFT JOIN registered_model_aliases a ON {_LIVE} AND a.alias = '{ALIAS}'"
    f" WHERE v.current_stage = 'Production' AND NOT {_PROMPT.format('v')}"
    " AND (a.version IS NULL OR a.version <> v.version)"
    # Of a model with none, and what MLflow's clients take for the same alias.
    f" UNION ALL SELECT a.workspace, a.name, (SELECT v.version FROM model_versions v WHERE {_LIVE}),"
    " a.alias, a.version FROM registered_model_aliases a"
    f" WHERE lower(a.alias) = '{ALIAS}' AND NOT {_PROMPT.format('a')} AND (a.alias <> '{ALIAS}'"
    f" OR NOT EXISTS (SELECT 1 FROM model_versions v WHERE {_LIVE}))"
)


class WrongAlias(NamedTuple):
    """An alias `production` that is not the stage: `live` is what is in Production, `named` what it names."""

    workspace: str
    name: str
    live: int | None
    alias: str | None
    named: int | None


def find_disagreements(connection: Connection) -> list[str]:
    """Say where a stage, an alias or a manifest is not what the ledger says; one sentence each."""
    found: list[str] = []
    for row in connection.execute(_VERSIONS, {"manifest": MANIFEST_TAG}):
        version = f"{row.name} version {row.version}"
        if row.number is None:
            found.append(f"The ledger does not know {version}: a server without Greenroom registered it.")
        elif row.to_stage != row.current_stage:
            found.append(
                f"{version} is in {row.current_stage}, and its newest line, {row.number}, says"
                f" {row.to_stage}: it was moved past Greenroom."
            )
        # What was registered before Greenroom has none that anyone vouches for.
        elif row.digest is not None and row.digest != _digest(row.manifest):
            found.append(f"The manifest of {version} is not the one of its newest line, {row.number}.")
    return [*found, *(_said(alias) for alias in wrong_aliases(connection))]


def wrong_aliases(connection: Connection) -> list[WrongAlias]:
    """Return the aliases that are not equal to the stage Production, and those that are missing."""
    return [WrongAlias(*row) for row in connection.execute(_ALIASES)]


def align_aliases(connection: Connection) -> list[str]:
    """Make the alias `production` of every model equal to its stage; return what was done."""
    wrong = wrong_aliases(connection)
    table = SqlRegisteredModelAlias.__table__
    for alias in wrong:
        of_model = (table.c.workspace == alias.workspace, table.c.name == alias.name)
        connection.execute(sa.delete(table).where(*of_model, table.c.alias == alias.alias))
        if alias.live is not None and alias.alias in (None, ALIAS):
            row = {"workspace": alias.workspace, "name": alias.name, "alias": ALIAS, "version": alias.live}
            connection.execute(sa.insert(table).values(row))
    return [f"Repaired: {_said(alias)}" for alias in wrong]


def _said(alias: WrongAlias) -> str:
    named = f"names version {alias.named}" if alias.named is not None else "is missing"
    live = f"version {alias.live} is in Production" if alias.live is not None else "nothing is in Production"
    return f"The alias {alias.alias or ALIAS} of {alias.name} {named}, and {live}."


def _digest(manifest: str | None) -> str | None:
    if manifest is None:
        return None
    try:
        return Manifest.from_files(json.loads(manifest)).digest
    except (ValueError, TypeError, KeyError, AttributeError, RegistryError):
        return "none that can be read"
