"""One decision: the facts are read, the rules are asked, lines are written and stages moved.

All of it happens inside one transaction that the caller has opened, under the lock. Whatever a
decision writes is there as a whole or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion, SqlRegisteredModel

from registry import exposing, policy, signatures
from registry.ledger import Action, Line
from registry.policy import Act, Facts
from registry.server import clock, tables, versions
from registry.server.events import enqueue
from registry.stages import Stage

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from registry.rules import Rules
    from registry.server.identity import Actor
    from registry.server.versions import Version


class Refused(MlflowException):  # type: ignore[misc]  # mlflow has no types
    """The rules do not allow it. Reaches every client of MLflow as a 400 with these sentences."""

    def __init__(self, action: str, reasons: tuple[str, ...]) -> None:
        super().__init__(
            f"{action} is refused: {' '.join(reasons)}", INVALID_PARAMETER_VALUE, reasons=list(reasons)
        )


_WRITES = {
    Act.REQUEST: Action.REQUESTED,
    Act.APPROVE: Action.APPROVED,
    Act.REJECT: Action.REJECTED,
    Act.WITHDRAW: Action.WITHDRAWN,
    Act.ROLLBACK: Action.ROLLED_BACK,
    Act.ARCHIVE: Action.ARCHIVED,
    Act.DELETE: Action.DELETED,
    Act.REQUEST_EXPOSURE: Action.EXPOSURE_REQUESTED,
    Act.APPROVE_EXPOSURE: Action.EXPOSURE_APPROVED,
    Act.REJECT_EXPOSURE: Action.EXPOSURE_REJECTED,
    Act.END_EXPOSURE: Action.EXPOSURE_ENDED,
}


@dataclass(frozen=True)
class Asked:
    """What somebody wants done. `attempt` is the caller's own id of it: sent twice, it is done once.

    `obstacle` is what a look at the artifact found wrong, before the transaction.
    """

    act: Act
    model: str
    version: int
    reason: str
    attempt: str
    accepts_signature_change: bool = False
    obstacle: str | None = None


def refuse_prompt(session: Session, model: str, action: str) -> None:
    """Raise `Refused` where MLflow keeps a prompt under this name."""
    if versions.is_prompt(session, model):
        raise Refused(action, (f"{model} is a prompt; only models are reviewed.",))


def breaks_clients(champion: Version | None, version: Version) -> tuple[str, ...]:
    """Say what would break for the clients of the version in Production, one sentence each."""
    if champion is None or champion.number == version.number:
        return ()
    before, after = (v.standing.artifact or {} for v in (champion, version))
    return signatures.breaks(before.get("signature"), after.get("signature"))


def facts_of(session: Session, version: Version, asked: Asked, actor: Actor) -> Facts:
    """Put together everything the rules may look at."""
    champion = versions.champion_of(session, version.model)
    return Facts(
        version=version.number,
        stage=version.stage,
        actor=actor.name,
        may_review=actor.may_review,
        reason=asked.reason,
        standing=version.standing,
        now=clock.now(),
        obstacle=asked.obstacle or versions.deleted_behind(session, version),
        signature_breaks=breaks_clients(champion, version),
        accepts_signature_change=asked.accepts_signature_change,
        registered_as=_registered_as(session, version, actor),
        champion=champion.number if champion else None,
    )


def decide(session: Session, asked: Asked, actor: Actor, rules: Rules) -> list[Line]:
    """Do what was asked, or raise `Refused`; return the lines that say so."""
    done = tables.of_attempt(session, asked.attempt)
    if done:
        return _again(done, asked, actor)
    refuse_prompt(session, asked.model, f"The {asked.act.of} {asked.model}")
    version = versions.read_version(session, asked.model, asked.version)
    facts = facts_of(session, version, asked, actor)
    refusals = policy.refusals(asked.act, facts, rules)
    if refusals:
        raise Refused(f"The {asked.act.of} {asked.model} version {asked.version}", refusals)
    write = _Writer(session, asked, actor.name, clock.stamp(facts.now))
    _carry_out(write, version, facts, rules)
    enqueue(session, write.lines)
    return write.lines


def _carry_out(write: _Writer, version: Version, facts: Facts, rules: Rules) -> None:
    evidence = _evidence(version, facts)
    request = version.standing.request
    answered = {"request": request.number if request else None}
    match write.asked.act:
        case Act.REQUEST:
            write(Action.REQUESTED, version, Stage.STAGING, evidence)
        case Act.APPROVE:
            write(Action.APPROVED, version, Stage.STAGING, {**evidence, **answered})
            if policy.enough(facts, rules):
                _take_off(write, version)
                write(Action.PROMOTED, version, Stage.PRODUCTION, {**evidence, **answered})
        case Act.ROLLBACK:
            _take_off(write, version)
            write(Action.ROLLED_BACK, version, Stage.PRODUCTION, evidence)
        case Act.REJECT:
            write(Action.REJECTED, version, Stage.NONE, answered)
        case Act.WITHDRAW:
            write(Action.WITHDRAWN, version, Stage.NONE, answered)
        case Act.ARCHIVE:
            write(Action.ARCHIVED, version, Stage.ARCHIVED, {})
        case Act.DELETE:
            write(Action.DELETED, version, version.stage, {})
        case _:
            _expose(write, version, facts, rules)


def _expose(write: _Writer, version: Version, facts: Facts, rules: Rules) -> None:
    evidence = {**_evidence(version, facts), "champion": facts.champion}
    asked, stays = version.standing.exposure.request, version.stage
    answered = {"exposure_request": asked.number if asked else None}
    match write.asked.act:
        case Act.REQUEST_EXPOSURE:
            write(Action.EXPOSURE_REQUESTED, version, stays, evidence)
        case Act.APPROVE_EXPOSURE:
            write(Action.EXPOSURE_APPROVED, version, stays, {**evidence, **answered})
            if exposing.enough(facts, rules):
                write(Action.EXPOSED, version, stays, {**evidence, **answered})
        case Act.REJECT_EXPOSURE:
            write(Action.EXPOSURE_REJECTED, version, stays, answered)
        case Act.END_EXPOSURE:
            write(Action.EXPOSURE_ENDED, version, stays, answered)


class _Writer:
    def __init__(self, session: Session, asked: Asked, by: str, at: str) -> None:
        self.session, self.asked, self.by, self.at = session, asked, by, at
        self.lines: list[Line] = []

    def __call__(
        self, action: Action, version: Version, to: Stage, evidence: dict[str, Any], reason: str | None = None
    ) -> None:
        # A version that was approved a line ago is still in Staging: an approval moves nothing.
        begun = version.standing.exposure.begun
        if to is not version.stage and begun is not None:
            evidence = {**evidence, "ends_exposure": begun.number}
        line = tables.append(
            self.session,
            at=self.at,
            by=self.by,
            action=action,
            model=version.model,
            version=version.number,
            from_stage=version.stage,
            to_stage=to,
            reason=reason or self.asked.reason,
            digest=version.standing.digest,
            evidence=evidence,
            attempt=self.asked.attempt,
        )
        self.lines.append(line)
        if to is not version.stage:
            _move(self.session, version, to)


def _take_off(write: _Writer, successor: Version) -> None:
    champion = versions.champion_of(write.session, successor.model)
    if champion is not None:
        because = f"replaced by version {successor.number}"
        write(Action.ARCHIVED, champion, Stage.ARCHIVED, {"replaced_by": successor.number}, because)


def _move(session: Session, version: Version, to: Stage) -> None:
    # The alias follows by a trigger, in the same statement.
    millis = int(clock.now().timestamp() * 1000)
    of_model = SqlRegisteredModel.name == version.model
    of_version = (SqlModelVersion.name == version.model, SqlModelVersion.version == version.number)
    for statement in (
        sa.update(SqlModelVersion).where(*of_version).values(current_stage=str(to), last_updated_time=millis),
        sa.update(SqlRegisteredModel).where(of_model).values(last_updated_time=millis),
    ):
        session.execute(statement.execution_options(synchronize_session=False))
    session.expire_all()


def _again(done: list[Line], asked: Asked, actor: Actor) -> list[Line]:
    wanted = (actor.name, asked.model, asked.version, _WRITES[asked.act])
    if all((line.by, line.model, line.version, line.action) != wanted for line in done):
        raise Refused(f"The {asked.act.of} {asked.model}", ("Its attempt id belongs to something else.",))
    return done


def _evidence(version: Version, facts: Facts) -> dict[str, Any]:
    standing = version.standing
    validation, verdict = standing.validation, standing.verdict
    said: dict[str, Any] = {"training_run": version.run_id}
    if validation is not None and verdict is not None:
        said |= {
            "verdict": verdict.number,
            "validation_run": validation.run_id,
            "metrics": validation.metrics,
        }
    if facts.signature_breaks:
        said |= {
            "signature_breaks": list(facts.signature_breaks),
            "accepts_signature_change": facts.accepts_signature_change,
        }
    return said


def _registered_as(session: Session, version: Version, actor: Actor) -> str | None:
    if version.standing.digest is None:
        return None
    said = sa.select(tables.LEDGER.c.model, tables.LEDGER.c.version).where(
        tables.LEDGER.c.digest == version.standing.digest,
        tables.LEDGER.c.action == Action.REGISTERED,
        tables.LEDGER.c.by == actor.name,
    )
    found = session.execute(said.order_by(tables.LEDGER.c.number)).first()
    return f"{found.model} version {found.version}" if found else None
