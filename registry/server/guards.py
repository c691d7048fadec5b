"""The second wall: what the database itself refuses, whoever asks and by whatever path.

MLflow's stores, `mlflow gc`, a stock server on the same database, an SQL shell: all of them meet it.
"""

from __future__ import annotations

from registry.manifest import MANIFEST_TAG
from registry.server.triggers import Guard, Keeper

_ON_STAGE = "('Staging', 'Production')"


def _prompt(row: str) -> str:
    return (
        f"EXISTS (SELECT 1 FROM registered_model_tags t WHERE t.workspace = {row}.workspace"
        f" AND t.name = {row}.name AND t.key = 'mlflow.prompt.is_prompt' AND lower(t.value) = 'true')"
    )


def _ours(row: str) -> str:
    # Not LIKE: it asks for its own way of writing % and minds case on one engine only.
    return f"lower(substr({row}.key, 1, 10)) = 'greenroom.'"


def _newest_line(row: str, condition: str) -> str:
    return (
        "EXISTS (SELECT 1 FROM greenroom_ledger l WHERE l.number ="
        " (SELECT max(m.number) FROM greenroom_ledger m"
        f" WHERE m.model = {row}.name AND m.version = {row}.version) AND {condition})"
    )


_THIS_CHANGE = (
    "l.from_stage = OLD.current_stage AND (l.to_stage = NEW.current_stage"
    " OR (l.action = 'deleted' AND NEW.current_stage = 'Deleted_Internal'))"
)
_DELETED = "l.action = 'deleted'"
_IN_PRODUCTION = (
    "EXISTS (SELECT 1 FROM model_versions v WHERE v.workspace = {row}.workspace AND v.name = {row}.name"
    " AND v.version = {row}.version AND v.current_stage = 'Production')"
)
_STAGED = f"EXISTS (SELECT 1 FROM model_versions v WHERE v.current_stage IN {_ON_STAGE} AND "
_INSIDE = (
    "substr(v.storage_location || '/', 1, length({0}.artifact_location) + 1) = {0}.artifact_location || '/'"
)
# A client may register a path inside a run and not say of which.
_IN_RUN = "substr(v.storage_location || '/', 1, length({0}.artifact_uri) + 1) = {0}.artifact_uri || '/'"
_OF_RUN = _STAGED + f"(v.run_id = OLD.run_uuid OR {_IN_RUN.format('OLD')}))"
_OF_MODEL = _STAGED + f"(v.source = 'models:/' || OLD.model_id OR {_INSIDE.format('OLD')}))"
_OF_EXPERIMENT = (
    _STAGED + "(EXISTS (SELECT 1 FROM runs r WHERE r.experiment_id = OLD.experiment_id"
    f" AND (v.run_id = r.run_uuid OR {_IN_RUN.format('r')}))"
    " OR EXISTS (SELECT 1 FROM logged_models g WHERE g.experiment_id = OLD.experiment_id"
    " AND (v.source = 'models:/' || g.model_id"
    f" OR {_INSIDE.format('g')}))))"
)
_TO_DELETED = "NEW.lifecycle_stage = 'deleted' AND OLD.lifecycle_stage IS DISTINCT FROM 'deleted'"
_BEHIND = "a model version in Staging or Production comes from this {}. Archive the version first."


def _behind(table: str, noun: str, condition: str) -> list[Guard]:
    message = _BEHIND.format(noun)
    return [
        Guard(
            f"greenroom_{table}_mark",
            "UPDATE OF lifecycle_stage",
            table,
            f"{_TO_DELETED} AND {condition}",
            message,
            waits=True,
        ),
        Guard(f"greenroom_{table}_delete", "DELETE", table, condition, message, waits=True, truncate=True),
    ]


_GUARDS = (
    Guard(
        "greenroom_ledger_no_update",
        "UPDATE",
        "greenroom_ledger",
        "1 = 1",
        "the ledger is only ever added to.",
    ),
    Guard(
        "greenroom_ledger_no_delete",
        "DELETE",
        "greenroom_ledger",
        "1 = 1",
        "the ledger is only ever added to.",
        truncate=True,
    ),
    Guard(
        # SQLite's INSERT OR REPLACE deletes without asking the guard above.
        "greenroom_ledger_at_the_end",
        "INSERT",
        "greenroom_ledger",
        "NEW.number <> (SELECT coalesce(max(number), 0) + 1 FROM greenroom_ledger)"
        " OR NEW.previous <> coalesce((SELECT hash FROM greenroom_ledger ORDER BY number DESC LIMIT 1), '')",
        "a line is added to the end of the ledger, and follows from the one before.",
    ),
    Guard(
        "greenroom_stage_needs_line",
        "UPDATE OF current_stage",
        "model_versions",
        "NEW.current_stage IS DISTINCT FROM OLD.current_stage"
        f" AND NOT (NEW.current_stage = 'Deleted_Internal' AND {_prompt('OLD')})"
        f" AND NOT {_newest_line('OLD', _THIS_CHANGE)}",
        "a stage changes only together with its line in the ledger, through a server that runs Greenroom.",
    ),
    Guard(
        "greenroom_version_starts_in_none",
        "INSERT",
        "model_versions",
        "NEW.current_stage IS DISTINCT FROM 'None'",
        "a version is registered in the stage None.",
    ),
    Guard(
        "greenroom_staged_not_deleted",
        "UPDATE OF current_stage",
        "model_versions",
        f"NEW.current_stage = 'Deleted_Internal' AND OLD.current_stage IN {_ON_STAGE}",
        "a version in Staging or Production cannot be deleted. Archive it first.",
    ),
    Guard(
        "greenroom_staged_not_erased",
        "DELETE",
        "model_versions",
        f"OLD.current_stage IN {_ON_STAGE}",
        "a version in Staging or Production cannot be deleted. Archive it first.",
        truncate=True,
    ),
    Guard(
        "greenroom_deleted_with_line",
        "DELETE",
        "model_versions",
        "OLD.current_stage NOT IN ('Staging', 'Production', 'Deleted_Internal')"
        " AND EXISTS (SELECT 1 FROM greenroom_ledger g WHERE g.model = OLD.name AND g.version = OLD.version)"
        f" AND NOT {_newest_line('OLD', _DELETED)}",
        "a version is deleted only together with its line in the ledger.",
    ),
    Guard(
        "greenroom_version_is_fixed",
        "UPDATE",
        "model_versions",
        "(OLD.name IS DISTINCT FROM NEW.name OR OLD.version IS DISTINCT FROM NEW.version"
        " OR OLD.workspace IS DISTINCT FROM NEW.workspace"
        " OR (NEW.current_stage IS DISTINCT FROM 'Deleted_Internal' AND ("
        "(OLD.user_id IS NOT NULL AND NEW.user_id IS DISTINCT FROM OLD.user_id)"
        " OR NEW.source IS DISTINCT FROM OLD.source"
        " OR NEW.storage_location IS DISTINCT FROM OLD.storage_location"
        f" OR NEW.run_id IS DISTINCT FROM OLD.run_id))) AND NOT {_prompt('OLD')} AND NOT {_prompt('NEW')}",
        "the name, the number, the author and the artifact of a version are fixed when it is registered.",
    ),
    Guard(
        "greenroom_alias_insert",
        "INSERT",
        "registered_model_aliases",
        f"lower(NEW.alias) = 'production' AND NOT {_prompt('NEW')}"
        f" AND NOT (NEW.alias = 'production' AND {_IN_PRODUCTION.format(row='NEW')})",
        "the alias production follows the stage Production and is never set by itself.",
    ),
    Guard(
        "greenroom_alias_update",
        "UPDATE",
        "registered_model_aliases",
        f"lower(NEW.alias) = 'production' AND NOT {_prompt('NEW')}"
        # A prompt that is renamed: its tag may follow later than its alias.
        f" AND NOT ({_prompt('OLD')} AND NOT EXISTS (SELECT 1 FROM registered_models m"
        " WHERE m.workspace = OLD.workspace AND m.name = OLD.name))"
        f" AND NOT (NEW.alias = 'production' AND {_IN_PRODUCTION.format(row='NEW')})",
        "the alias production follows the stage Production and is never set by itself.",
    ),
    Guard(
        "greenroom_alias_stays",
        "UPDATE",
        "registered_model_aliases",
        f"OLD.alias = 'production' AND NEW.alias <> 'production' AND NOT {_prompt('OLD')}"
        f" AND {_IN_PRODUCTION.format(row='OLD')}",
        "the alias production follows the stage Production and is never removed by itself.",
    ),
    Guard(
        "greenroom_alias_delete",
        "DELETE",
        "registered_model_aliases",
        f"OLD.alias = 'production' AND NOT {_prompt('OLD')} AND {_IN_PRODUCTION.format(row='OLD')}",
        "the alias production follows the stage Production and is never removed by itself.",
        truncate=True,
    ),
    Guard(
        "greenroom_tag_insert",
        "INSERT",
        "model_version_tags",
        f"{_ours('NEW')} AND NOT (NEW.key = '{MANIFEST_TAG}' AND "
        + _newest_line("NEW", "l.action IN ('registered', 'validated') AND l.digest IS NOT NULL)"),
        "tags that begin with greenroom. are written by Greenroom alone.",
    ),
    Guard(
        "greenroom_tag_update",
        "UPDATE",
        "model_version_tags",
        f"{_ours('OLD')} OR {_ours('NEW')}",
        "tags that begin with greenroom. are written by Greenroom alone.",
    ),
    Guard(
        "greenroom_tag_delete",
        "DELETE",
        "model_version_tags",
        f"{_ours('OLD')} AND NOT " + _newest_line("OLD", _DELETED),
        "tags that begin with greenroom. are written by Greenroom alone.",
        truncate=True,
    ),
    Guard(
        "greenroom_model_is_no_prompt",
        "INSERT",
        "registered_model_tags",
        "NEW.key = 'mlflow.prompt.is_prompt' AND EXISTS (SELECT 1 FROM model_versions v"
        " WHERE v.workspace = NEW.workspace AND v.name = NEW.name)",
        "a model that has versions cannot be made a prompt.",
    ),
    Guard(
        "greenroom_model_stays_no_prompt",
        "UPDATE",
        "registered_model_tags",
        "NEW.key = 'mlflow.prompt.is_prompt' AND lower(NEW.value) = 'true'"
        " AND NOT (OLD.key = NEW.key AND lower(coalesce(OLD.value, '')) = 'true')"
        " AND EXISTS (SELECT 1 FROM model_versions v"
        " WHERE v.workspace = NEW.workspace AND v.name = NEW.name)",
        "a model that has versions cannot be made a prompt.",
    ),
    *(
        Guard(
            f"greenroom_prompt_stays_one_{event.lower()}",
            event,
            "registered_model_tags",
            # Its alias `production` was set by anybody.
            f"OLD.key = 'mlflow.prompt.is_prompt' AND lower(OLD.value) = 'true'{unless}"
            " AND EXISTS (SELECT 1 FROM model_versions v"
            " WHERE v.workspace = OLD.workspace AND v.name = OLD.name)",
            "a prompt that has versions stays a prompt.",
        )
        for event, unless in (
            ("DELETE", ""),
            ("UPDATE", " AND NOT (NEW.key = OLD.key AND lower(coalesce(NEW.value, '')) = 'true')"),
        )
    ),
    *(
        Guard(
            f"greenroom_version_is_no_prompt_{event.lower()}",
            event,
            "model_version_tags",
            # MLflow's search passes over such versions: what is in Production would not be found.
            f"NEW.key = 'mlflow.prompt.is_prompt' AND NOT {_prompt('NEW')}",
            "a version of a model cannot be made one of a prompt.",
        )
        for event in ("INSERT", "UPDATE")
    ),
    *_behind("runs", "run", _OF_RUN),
    *_behind("logged_models", "logged model", _OF_MODEL),
    *_behind("experiments", "experiment", _OF_EXPERIMENT),
)

TRIGGERS: tuple[Guard | Keeper, ...] = (*_GUARDS, Keeper())

# Behind the lock: two versions of a model in Production cannot be written down.
ONE_IN_PRODUCTION = "greenroom_one_in_production"
ONE_IN_PRODUCTION_SQL = (
    f"CREATE UNIQUE INDEX {ONE_IN_PRODUCTION} ON model_versions (workspace, name)"
    " WHERE current_stage = 'Production'"
)
