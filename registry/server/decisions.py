"""One decision: the facts are read, the rules are asked, lines are written and stages moved.

All of it happens inside one transaction that the caller has opened, under the lock. Whatever a
decision writes is there as a whole or not at all.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from mlflow.exceptions import MlflowException
from mlflow.prompt.constants import IS_PROMPT_TAG_KEY
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST
from mlflow.store.model_registry.dbmodels.models import (
    SqlModelVersion,
    SqlRegisteredModel,
    SqlRegisteredModelTag,
)
from mlflow.utils.workspace_utils import DEFAULT_WORKSPACE_NAME

from registry import policy, signatures
from registry.ledger import Action, Line
from registry.policy import Act, Facts
from registry.server import tables
from registry.server.events import enqueue
from registry.server.install import DELETED
from registry.stages import Stage
from registry.standing import Standing, standing_of

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from registry.rules import Rules
    from registry.server.identity import Actor


class Refused(MlflowException):  # type: ignore[misc]  # mlflow has no types
    """The rules do not allow it. Reaches every client of MLflow as a 400 with these sentences."""

    def __init__(self, action: str, reasons: tuple[str, ...]) -> None:
        super().__init__(
            f"{action} is refused: {' '.join(reasons)}", INVALID_PARAMETER_VALUE, reasons=list(reasons)
        )


# What the databases can hold; beyond it, their drivers fail.
HIGHEST_VERSION = 2**31 - 1
_WRITES = {
    Act.REQUEST: Action.REQUESTED,
    Act.APPROVE: Action.APPROVED,
    Act.REJECT: Action.REJECTED,
    Act.WITHDRAW: Action.WITHDRAWN,
    Act.ROLLBACK: Action.ROLLED_BACK,
    Act.ARCHIVE: Action.ARCHIVED,
    Act.DELETE: Action.DELETED,
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


def now() -> dt.datetime:
    """Return the server's time, UTC."""
    return dt.datetime.now(dt.UTC)


def stamp(at: dt.datetime) -> str:
    """Write a time as the ledger does."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


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


def refuse_prompt(session: Session, model: str, action: str) -> None:
    """Raise `Refused` where MLflow keeps a prompt under this name."""
    if is_prompt(session, model):
        raise Refused(action, (f"{model} is a prompt; only models are reviewed.",))


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


def facts_of(session: Session, version: Version, asked: Asked, actor: Actor) -> Facts:
    """Put together everything the rules may look at."""
    champion = champion_of(session, version.model)
    breaks: tuple[str, ...] = ()
    if champion is not None and champion.number != version.number:
        before, after = (v.standing.artifact or {} for v in (champion, version))
        breaks = signatures.breaks(before.get("signature"), after.get("signature"))
    return Facts(
        version=version.number,
        stage=version.stage,
        actor=actor.name,
        may_review=actor.may_review,
        reason=asked.reason,
        standing=version.standing,
        now=now(),
        obstacle=asked.obstacle or _deleted_behind(session, version),
        signature_breaks=breaks,
        accepts_signature_change=asked.accepts_signature_change,
        registered_as=_registered_as(session, version, actor),
    )


def decide(session: Session, asked: Asked, actor: Actor, rules: Rules) -> list[Line]:
    """Do what was asked, or raise `Refused`; return the lines that say so."""
    done = tables.of_attempt(session, asked.attempt)
    if done:
        return _again(done, asked, actor)
    refuse_prompt(session, asked.model, f"The {asked.act.of} {asked.model}")
    version = read_version(session, asked.model, asked.version)
    facts = facts_of(session, version, asked, actor)
    refusals = policy.refusals(asked.act, facts, rules)
    if refusals:
        raise Refused(f"The {asked.act.of} {asked.model} version {asked.version}", refusals)
    write = _Writer(session, asked, actor.name, stamp(facts.now))
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


class _Writer:
    def __init__(self, session: Session, asked: Asked, by: str, at: str) -> None:
        self.session, self.asked, self.by, self.at = session, asked, by, at
        self.lines: list[Line] = []

    def __call__(
        self, action: Action, version: Version, to: Stage, evidence: dict[str, Any], reason: str | None = None
    ) -> None:
        # A version that was approved a line ago is still in Staging: an approval moves nothing.
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
    champion = champion_of(write.session, successor.model)
    if champion is not None:
        because = f"replaced by version {successor.number}"
        write(Action.ARCHIVED, champion, Stage.ARCHIVED, {"replaced_by": successor.number}, because)


def _move(session: Session, version: Version, to: Stage) -> None:
    # The alias follows by a trigger, in the same statement.
    millis = int(now().timestamp() * 1000)
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


def _deleted_behind(session: Session, version: Version) -> str | None:
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
