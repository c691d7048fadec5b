"""What must hold of a model at every moment, and how one moment is read from outside."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from benchmarks.registry_calls import Answer

# MLflow keeps the row of a deleted version, under this stage.
_DELETED = "Deleted_Internal"

_STAGES = (
    "SELECT 'stage' AS kind, 0 AS number, version, current_stage AS stage, '' AS said FROM model_versions"
)
_ALIASES = "SELECT 'alias', 0, version, '', alias FROM registered_model_aliases"
_LINES = "SELECT 'line', number, version, to_stage, action FROM greenroom_ledger"


class Fault(StrEnum):
    """What must never be seen."""

    TWO_IN_PRODUCTION = "two versions in Production"
    ALIAS = "an alias that disagrees with the stage"
    NO_LINE = "a stage without its ledger line"


@dataclass(frozen=True)
class Snapshot:
    """One model at one moment: the stage of every version, the alias, each version's newest line."""

    stages: Mapping[int, str]
    production_alias: int | None
    # Action and stage; None where there is no ledger.
    newest_lines: Mapping[int, tuple[str, str]] | None


def read_snapshot(connection: sa.Connection, model: str, *, has_ledger: bool) -> Snapshot:
    """Read one moment, in one statement: over two, or over REST, a change could pass in between."""
    parts = [f"{_STAGES} WHERE name = :model", f"{_ALIASES} WHERE name = :model"]
    if has_ledger:
        parts.append(f"{_LINES} WHERE model = :model")
    rows = connection.execute(sa.text(f"{' UNION ALL '.join(parts)} ORDER BY number"), {"model": model}).all()
    aliases = [row.version for row in rows if row.kind == "alias" and row.said == "production"]
    return Snapshot(
        stages={row.version: row.stage for row in rows if row.kind == "stage"},
        production_alias=aliases[0] if aliases else None,
        newest_lines={row.version: (row.said, row.stage) for row in rows if row.kind == "line"}
        if has_ledger
        else None,
    )


def find_faults(snapshot: Snapshot) -> frozenset[Fault]:
    """Compare what one moment says with itself. Without a ledger nobody promised alias and lines."""
    faults = set()
    live = [version for version, stage in snapshot.stages.items() if stage == "Production"]
    if len(live) > 1:
        faults.add(Fault.TWO_IN_PRODUCTION)
    lines = snapshot.newest_lines
    if lines is not None:
        if live != ([] if snapshot.production_alias is None else [snapshot.production_alias]):
            faults.add(Fault.ALIAS)
        for version, stage in snapshot.stages.items():
            action, line_stage = lines.get(version, ("", ""))
            if (action == "deleted") != (stage == _DELETED) or stage not in (line_stage, _DELETED):
                faults.add(Fault.NO_LINE)
    return frozenset(faults)


@dataclass(frozen=True)
class Truth:
    """How many answers were not true: done without its lines, or not done and yet in the ledger."""

    lost: int = 0
    untrue: int = 0


def compare(answers: Iterable[Answer], lines: Iterable[Mapping[str, Any]]) -> Truth:
    """Hold what every caller was told against the ledger's lines of the model."""
    known = {line["hash"] for line in lines}
    lost = untrue = 0
    for answer in answers:
        written = [line for line in lines if _is_of(line, answer)]
        if answer.is_done:
            promised = {line["hash"] for line in answer.body.get("lines", ())}
            lost += not written or not promised <= known
        elif answer.status:
            untrue += bool(written)
    return Truth(lost, untrue)


def _is_of(line: Mapping[str, Any], answer: Answer) -> bool:
    # A deletion through MLflow's own call has no attempt; nobody else deletes that version.
    deletes = answer.act.deed == "delete"
    is_deletion = line["action"] == "deleted" and line["version"] == answer.act.version
    return is_deletion if deletes else bool(line["attempt"] == answer.act.attempt)
