"""What an endpoint refuses, and how it says so: what was found, where, and what was expected.

A refusal never repeats a value of the caller: logs and screens of others are no place for their data.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from serving.contract.signature import EXPECTED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from serving.contract.signature import InputColumn

# As many faults as a person reads; the message counts the rest.
_SHOWN, _NAME_CHARACTERS = 10, 60
_NAMES = {
    400: "BAD_REQUEST",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    408: "REQUEST_TIMEOUT",
    413: "REQUEST_LIMIT_EXCEEDED",
    415: "UNSUPPORTED_MEDIA_TYPE",
    421: "MISDIRECTED_REQUEST",
    500: "INTERNAL_ERROR",
    503: "TEMPORARILY_UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


@dataclass(frozen=True)
class Fault:
    """One thing wrong in a request: in which row (from 0) and column, None where that says nothing."""

    row: int | None
    column: str | None
    found: str
    expected: str

    def __str__(self) -> str:
        at = [f"row {self.row}"] if self.row is not None else []
        at += [f"column {self.column!r}"] if self.column is not None else []
        where = f"{', '.join(at)}: " if at else ""
        return f"{where}found {self.found}, expected {self.expected}"


class RequestError(Exception):
    """A request that is not answered with predictions: its HTTP status, and sentences for its author."""

    def __init__(self, message: str, *, status: int = 400, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(message)
        self.message, self.status, self.faults = message, status, faults

    @property
    def error_code(self) -> str:
        """A name for the status, as MLflow has them."""
        return _NAMES.get(self.status) or HTTPStatus(self.status).phrase.upper().replace(" ", "_")

    @property
    def details(self) -> list[dict[str, object]]:
        """The faults as plain values, for the answer."""
        return [asdict(fault) for fault in self.faults]


def refuse(found: Iterable[Fault], total: int | None = None) -> RequestError:
    """Make one refusal of all that is wrong with a request; `total` counts faults that are not listed."""
    faults = tuple(found)
    shown = faults[:_SHOWN]
    more = (len(faults) if total is None else total) - len(shown)
    rest = f"; and {more:,} more" if more > 0 else ""
    return RequestError("; ".join(str(fault) for fault in shown) + rest, faults=shown)


def cell_fault(row: int, column: InputColumn, value: object) -> Fault:
    """Say what is wrong with a cell, without repeating it."""
    return Fault(row, column.name, spelled_kind(value), EXPECTED[column.kind])


def missing_column(row: int | None, column: InputColumn) -> Fault:
    """Say that a column is not there."""
    return Fault(row, column.name, "no such column", EXPECTED[column.kind])


def unknown_column(row: int | None, name: object, known: Iterable[str]) -> Fault:
    """Say that the model has no column of this name."""
    shown = spelled_name(name)
    return Fault(row, shown, "a column that the model does not have", f"only {', '.join(sorted(known))}")


def spelled_name(name: object) -> str:
    """Return the name of a column, short and on one line."""
    text = name if isinstance(name, str) else f"({spelled_kind(name)})"
    kept = "".join(c if c.isprintable() else "?" for c in text[:_NAME_CHARACTERS])
    return kept + ("…" if len(text) > _NAME_CHARACTERS else "")


def spelled_kind(value: object) -> str:  # noqa: PLR0911  # one word for each kind of JSON value
    """Return what kind of value JSON, CSV or Parquet held."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int):
        return "a whole number"
    if isinstance(value, float):
        return "a number with decimals" if value % 1 else "a number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, list):
        return "a list"
    return "an object" if isinstance(value, dict) else type(value).__name__
