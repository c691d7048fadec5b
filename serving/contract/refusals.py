"""What an endpoint refuses, and how it says so: what was found, where, and what was expected.

A refusal never repeats a value of the caller: logs and screens of others are no place for their data.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from itertools import chain, islice
from typing import TYPE_CHECKING

from serving.contract.signature import EXPECTED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from serving.contract.signature import InputColumn, Signature

# As many faults as a person reads; the message counts the rest.
SHOWN = 10
_NAME_CHARACTERS, _NAMES_LISTED = 60, 20
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


@dataclass
class Faults:
    """What is wrong with a request: how many faults there are, and as many of them as a person reads.

    A body can hold millions, which are to cost neither the time nor the memory to describe them.
    """

    total: int = 0
    kept: list[Fault] = field(default_factory=list)

    def add(self, total: int, found: Iterable[Fault]) -> None:
        """Count `total` faults; of `found`, which is in the order of rows, the first are kept."""
        self.total += total
        self.kept += islice(found, SHOWN)

    def check(self) -> None:
        """Raise `RequestError` if there are any, those of the first rows first."""
        if self.total:
            raise refuse(sorted(self.kept, key=lambda fault: fault.row or 0), self.total)


def refuse(found: Iterable[Fault], total: int | None = None) -> RequestError:
    """Make one refusal of all that is wrong with a request; `total` counts faults that are not listed."""
    faults = tuple(found)
    shown = faults[:SHOWN]
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
    names = sorted(known)
    more = f" and {len(names) - _NAMES_LISTED:,} more" if len(names) > _NAMES_LISTED else ""
    expected = f"only {', '.join(names[:_NAMES_LISTED])}{more}"
    return Fault(row, shown, "a column that the model does not have", expected)


def wrong_names(row: int | None, names: Iterable[str], signature: Signature, faults: Faults) -> None:
    """Add the columns that are missing among `names`, and those that the model does not have."""
    found = set(names)
    missing = [column for column in signature.columns if column.required and column.name not in found]
    unknown = [name for name in names if name not in signature.names]
    if missing or unknown:
        each = chain(
            (missing_column(row, column) for column in missing),
            (unknown_column(row, name, signature.names) for name in unknown),
        )
        # Rows come in their order, so that the first faults are those to be shown.
        faults.add(len(missing) + len(unknown), each if len(faults.kept) < SHOWN else ())


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
