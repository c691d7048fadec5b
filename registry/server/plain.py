"""What a client of MLflow means that knows nothing of Greenroom: a stage it sets is one of our acts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.policy import Act
from registry.server.decisions import Refused
from registry.stages import Stage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from registry.rules import Rules
    from registry.server.versions import Version

# The reason in the ledger.
PLAIN = "set with MLflow's own client or pages, which take no reason"
_OURS = "greenroom."


def act_of(action: str, version: Version, to: Stage, rules: Rules) -> Act:
    """Return what a move of a version to another stage is. Raises `Refused` where it is nothing."""
    match version.stage, to:
        case _, Stage.STAGING if version.stage is not Stage.PRODUCTION:
            return Act.REQUEST
        case Stage.STAGING, Stage.NONE:
            return Act.WITHDRAW
        case _, Stage.ARCHIVED:
            return Act.ARCHIVE
        case Stage.STAGING, Stage.PRODUCTION if rules.plain_mlflow_approves:
            return Act.APPROVE
        case Stage.STAGING, Stage.PRODUCTION:
            how = "An approval takes a reason: python -m registry approve, or the page /review."
        case _, Stage.PRODUCTION if version.standing.was_in_production:
            how = "A rollback takes a reason: python -m registry rollback, or the page /review."
        case _, Stage.PRODUCTION:
            how = f"It is in {version.stage}; only what waits in Staging can go to Production."
        case _:
            how = f"From {version.stage} it goes to Archived, and nowhere else."
    raise Refused(action, (how,))


def refuse_our_tags(action: str, keys: Iterable[str]) -> None:
    """Raise `Refused` where a key is one that Greenroom alone writes."""
    if any(key.lower().startswith(_OURS) for key in keys):
        raise Refused(action, (f"Tags that begin with {_OURS} are written by Greenroom alone.",))
