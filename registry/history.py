"""Reading the ledger: what was live when, and who let it in. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.ledger import Action
from registry.stages import Stage

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable

    from registry.ledger import Line


@dataclass(frozen=True)
class Live:
    """The version that was in Production at a time, the line that put it there, and the approvals."""

    version: int
    entered: Line
    approvals: tuple[Line, ...]


def live_at(lines: Iterable[Line], when: dt.datetime) -> Live | None:
    """Return what was in Production at `when`, given all lines about one model, oldest first.

    Lines are taken in the order of the ledger until the first that was written after `when`.
    """
    import datetime as dt

    live: Live | None = None
    approvals: dict[int, tuple[Line, ...]] = {}
    for line in lines:
        if dt.datetime.fromisoformat(line.at) > when:
            break
        match line.action:
            case Action.REQUESTED:
                approvals[line.version] = ()
            case Action.APPROVED:
                approvals[line.version] = (*approvals.get(line.version, ()), line)
        if line.to_stage is Stage.PRODUCTION and (live is None or live.version != line.version):
            given = approvals.get(line.version, ()) if line.action is Action.PROMOTED else ()
            live = Live(line.version, line, given)
        elif line.from_stage is Stage.PRODUCTION and line.to_stage is not Stage.PRODUCTION and live:
            live = None if live.version == line.version else live
    return live
