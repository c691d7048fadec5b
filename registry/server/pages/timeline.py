"""Lines of the ledger as a timeline for people. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry.ledger import Action
from registry.server.pages.comparison import number

if TYPE_CHECKING:
    from collections.abc import Iterable

    from registry.ledger import Line

# Shown in another place, or of no use to a reader.
_LEFT_OUT = {"artifact", "author", "digest", "passed"}
_MOST_CHARACTERS = 600

_HAPPENED = {
    Action.REGISTERED: "registered",
    Action.VALIDATED: "validated",
    Action.REQUESTED: "requested for review",
    Action.APPROVED: "approved",
    Action.REJECTED: "rejected",
    Action.WITHDRAWN: "withdrawn",
    Action.PROMOTED: "went to Production",
    Action.ROLLED_BACK: "put back in Production",
    Action.ARCHIVED: "archived",
    Action.DELETED: "deleted",
    Action.EXPOSURE_REQUESTED: "requested for exposure to clients",
    Action.EXPOSURE_APPROVED: "approved for exposure to clients",
    Action.EXPOSURE_REJECTED: "rejected for exposure to clients",
    Action.EXPOSED: "may answer clients, as a challenger",
    Action.EXPOSURE_ENDED: "no longer exposed to clients",
}


@dataclass(frozen=True)
class Entry:
    """One line: what happened in words, and its evidence as names and texts."""

    line: Line
    what: str
    details: tuple[tuple[str, str], ...]


def entries(lines: Iterable[Line]) -> list[Entry]:
    """Lay lines out, the newest first."""
    return [Entry(line, _what(line), tuple(_details(line))) for line in reversed(list(lines))]


def _what(line: Line) -> str:
    if line.action is Action.VALIDATED:
        passed = line.evidence.get("validation", {}).get("passed")
        return "passed its validation" if passed else "failed its validation"
    return _HAPPENED[line.action]


def _details(line: Line) -> Iterable[tuple[str, str]]:
    said = {**line.evidence, **line.evidence.get("validation", {})}
    said.pop("validation", None)
    for name, value in said.items():
        text = _text(value)
        if name not in _LEFT_OUT and text:
            yield name.replace("_", " "), text[:_MOST_CHARACTERS]
    if line.digest:
        yield "digest", line.digest
    yield "ledger", f"line {line.number}, hash {line.hash}"


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float():
            return number(value)
        case dict():
            return ", ".join(f"{key} {_text(item)}" for key, item in value.items())
        case list():
            return "; ".join(_text(item) for item in value)
    return str(value)
