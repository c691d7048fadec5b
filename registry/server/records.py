"""What is written down and moves nothing: a registration, and a verdict on an artifact."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from mlflow.entities import LifecycleStage
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.server import handlers
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion, SqlModelVersionTag
from mlflow.utils.workspace_utils import DEFAULT_WORKSPACE_NAME

from registry.ledger import Action, Line
from registry.manifest import MANIFEST_TAG
from registry.server import clock, decisions, tables, versions
from registry.server.decisions import Refused

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from registry.server.versions import Version
    from registry.validation import Validation

# A run's times come from the client's clock.
_SKEW = dt.timedelta(minutes=5)


def registered(
    session: Session, model: str, number: int, author: str, artifact: dict[str, Any] | None
) -> None:
    """Sign a version that MLflow has just made, and fix its artifact, as `artifacts.fix` read it."""
    of_version = (SqlModelVersion.name == model, SqlModelVersion.version == number)
    signed = sa.update(SqlModelVersion).where(*of_version).values(user_id=author)
    session.execute(signed.execution_options(synchronize_session=False))
    session.expire_all()
    version = versions.read_version(session, model, number)
    evidence = {
        "author": author,
        "artifact": artifact,
        "source": version.source,
        "training_run": version.run_id,
    }
    digest = artifact["digest"] if artifact else None
    _write(session, Action.REGISTERED, version, digest, evidence, str(uuid.uuid4()), author)
    if artifact:
        _tag_manifest(session, version, artifact)


def judged(
    session: Session,
    seen: Version,
    verdict: Validation,
    by: str,
    attempt: str,
    *,
    late: dict[str, Any] | None,
    weakness: str | None,
) -> list[Line]:
    """Write a verdict down, or raise `Refused`. The same attempt is written once.

    `late` is an artifact that was not there yet when the version was registered; `weakness` is what
    speaks against the verdict's run.
    """
    action = f"The verdict on {seen.model} version {seen.number}"
    done = tables.of_attempt(session, attempt)
    if done:
        wanted = (by, seen.model, seen.number, Action.VALIDATED)
        if any((line.by, line.model, line.version, line.action) != wanted for line in done):
            raise Refused(action, ("Its attempt id belongs to something else.",))
        return done
    decisions.refuse_prompt(session, seen.model, action)
    version = versions.read_version(session, seen.model, seen.number)
    fixes = late if version.standing.digest is None else None
    digest = fixes["digest"] if fixes else version.standing.digest
    if digest is None:
        raise Refused(action, ("There is no artifact yet that it could be about. Upload it first.",))
    if verdict.digest != digest:
        said = f"It is about the artifact {verdict.digest[:12]}…, and registered is {digest[:12]}…."
        raise Refused(action, (said,))
    if weakness:
        raise Refused(action, (weakness,))
    evidence: dict[str, Any] = {"validation": verdict.to_plain()}
    if fixes:
        evidence["artifact"] = fixes
    line = _write(session, Action.VALIDATED, version, digest, evidence, attempt, by)
    if fixes:
        _tag_manifest(session, version, fixes)
    return [line]


def first_registered(session: Session, digest: str) -> dt.datetime | None:
    """Return when an artifact was first registered, under whatever name."""
    of_artifact = tables.LEDGER.c.digest == digest, tables.LEDGER.c.action == Action.REGISTERED
    at = session.scalar(sa.select(sa.func.min(tables.LEDGER.c.at)).where(*of_artifact))
    return dt.datetime.fromisoformat(at) if at else None


def weakness(verdict: Validation, since: dt.datetime | None) -> str | None:
    """Say why the run that a verdict names is no evidence about an artifact registered at `since`."""
    try:
        run = handlers._get_tracking_store().get_run(verdict.run_id).info  # noqa: SLF001  # as MLflow's handlers do
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
            raise
        return f"Its run {verdict.run_id[:64]!r} is not on this server. Log the validation as a run here."
    if run.lifecycle_stage == LifecycleStage.DELETED:
        return f"Its run {run.run_id} is deleted in MLflow. Restore the run, or validate again."
    started = dt.datetime.fromtimestamp((run.start_time or 0) / 1000, dt.UTC)
    if since is not None and started < since - _SKEW:
        return (
            f"Its run {run.run_id} is of {clock.stamp(started)}, before the artifact was registered at"
            f" {clock.stamp(since)}. Validate again."
        )
    return None


def _write(  # a line has as many parts
    session: Session,
    action: Action,
    version: Version,
    digest: str | None,
    evidence: dict[str, Any],
    attempt: str,
    by: str,
) -> Line:
    return tables.append(
        session,
        at=clock.stamp(clock.now()),
        by=by,
        action=action,
        model=version.model,
        version=version.number,
        from_stage=version.stage,
        to_stage=version.stage,
        reason="",
        digest=digest,
        evidence=evidence,
        attempt=attempt,
    )


def _tag_manifest(session: Session, version: Version, artifact: dict[str, Any]) -> None:
    # A tag, because every client of MLflow can read it; a trigger keeps it as it is.
    text = json.dumps(artifact["manifest"], sort_keys=True, separators=(",", ":"))
    session.add(
        SqlModelVersionTag(
            workspace=DEFAULT_WORKSPACE_NAME,
            name=version.model,
            version=version.number,
            key=MANIFEST_TAG,
            value=text,
        )
    )
    session.flush()
    session.expire_all()
