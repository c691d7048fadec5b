"""Finds the newest comparison on live traffic of a version, among the runs of this server."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import sqlalchemy as sa
from mlflow.entities import LifecycleStage, RunStatus
from mlflow.exceptions import MlflowException
from mlflow.server import handlers
from mlflow.store.tracking.dbmodels.models import SqlRun, SqlTag

from registry.errors import ArtifactError
from registry.server import artifacts, identity
from registry.server.pages import live
from registry.server.pages.live import LiveComparison

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from registry.server.store import GreenroomStore
    from registry.server.versions import Version

_MODEL, _VERSION = "greenroom.comparison.model", "greenroom.comparison.version"


def newest_comparison(
    store: GreenroomStore, candidate: Version, champion: Version | None
) -> LiveComparison | None:
    """Read it; None where there is none, or none that this login may see."""
    # Runs are in the registry's database, or its guards could not see them.
    with store.sessions() as session:
        run_id = _newest(session, candidate)
    if run_id is None:
        return None
    run = handlers._get_tracking_store().get_run(run_id).info  # noqa: SLF001  # MLflow's handlers call it
    if not identity.may_read_experiment(run.experiment_id):
        return None
    try:
        text = artifacts.read_small(run.artifact_uri, live.FILE, live.MOST_BYTES)
        read = live.read(text, candidate, champion)
    except (ArtifactError, MlflowException, OSError, ValueError) as error:
        read = LiveComparison(problem=f"It is not shown: {str(error)[:200]}.")
    return replace(read, run_id=run_id, experiment_id=run.experiment_id)


def _newest(session: Session, candidate: Version) -> str | None:
    model, version = sa.orm.aliased(SqlTag), sa.orm.aliased(SqlTag)
    query = (
        sa.select(SqlRun.run_uuid)
        .join(model, model.run_uuid == SqlRun.run_uuid)
        .join(version, version.run_uuid == SqlRun.run_uuid)
        .where(
            SqlRun.lifecycle_stage == LifecycleStage.ACTIVE,
            # One that is being written may not have its file yet.
            SqlRun.status == RunStatus.to_string(RunStatus.FINISHED),
            model.key == _MODEL,
            model.value == candidate.model,
            version.key == _VERSION,
            version.value == str(candidate.number),
        )
        .order_by(SqlRun.start_time.desc(), SqlRun.run_uuid)
    )
    found = session.scalar(query.limit(1))
    return str(found) if found else None
