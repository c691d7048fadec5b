"""What a model takes: its columns, in the order of its booster, and what a cell of each may be."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from operator import itemgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    # Takes some cells out of a row; and where a column is, how its cell is called, and its codes.
    Takes = Callable[[Any], tuple[object, ...]]
    Texts = tuple[tuple[int, Any, Mapping[str | None, float]], ...]


class Kind(StrEnum):
    """The column types of an MLflow signature that a booster can take, by MLflow's names."""

    DOUBLE = "double"
    FLOAT = "float"
    LONG = "long"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    STRING = "string"


# What a person reads for a kind, in a refusal and in the documentation of an endpoint.
EXPECTED = {
    Kind.DOUBLE: "a number or null",
    Kind.FLOAT: "a number or null",
    Kind.LONG: "a whole number of 64 bits",
    Kind.INTEGER: "a whole number of 32 bits",
    Kind.BOOLEAN: "true or false",
    Kind.STRING: "text or null",
}


@dataclass(frozen=True)
class InputColumn:
    """A raw column. `codes` are those of the categories seen in training, None where it holds numbers."""

    name: str
    kind: Kind = Kind.DOUBLE
    required: bool = True
    codes: Mapping[str | None, float] | None = None

    @property
    def is_plain(self) -> bool:
        """Whether any number (or, with codes, any text) or null will do, which is nearly always so."""
        return self.kind in {Kind.DOUBLE, Kind.FLOAT, Kind.STRING}

    @property
    def categories(self) -> tuple[str, ...]:
        """The texts seen in training, none for a column of numbers."""
        return tuple(text for text in self.codes or () if text is not None)


@dataclass(frozen=True)
class Signature:
    """All columns of a model, in the order of its booster's features."""

    columns: tuple[InputColumn, ...]

    @classmethod
    def of(
        cls, inputs: Sequence[Mapping[str, object]], categories: Mapping[str, Sequence[str] | None]
    ) -> Signature:
        """Join the inputs of an MLflow signature with the categories in the booster.

        Raises ValueError for a type that no booster takes, or text without categories.
        """
        return cls(tuple(_column(plain, categories.get(str(plain["name"]))) for plain in inputs))

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of all columns."""
        return frozenset(column.name for column in self.columns)

    @cached_property
    def is_plain(self) -> bool:
        """Whether all columns are required, and take any number or text: the quick way can read them."""
        return all(column.is_plain and column.required for column in self.columns)

    @cached_property
    def cells(self) -> tuple[tuple[str, Mapping[str | None, float] | None], ...]:
        """Name and codes of each column, for the loop over the cells of one row."""
        return tuple((column.name, column.codes) for column in self.columns)

    @cached_property
    def numbers(self) -> list[int]:
        """The places of the columns of numbers."""
        return [place for place, column in enumerate(self.columns) if column.codes is None]

    @cached_property
    def order(self) -> list[str]:
        """The names of all columns, in order."""
        return [column.name for column in self.columns]

    @cached_property
    def numbers_by_name(self) -> Takes:
        """What takes the cells of all columns of numbers out of a record; KeyError where one is missing."""
        return _taking([self.columns[place].name for place in self.numbers])

    @cached_property
    def numbers_by_place(self) -> Takes:
        """What takes the cells of all columns of numbers out of a list of cells."""
        return _taking(self.numbers)

    @cached_property
    def texts_by_name(self) -> Texts:
        """Place, name and codes of each column of text."""
        return tuple((n, c.name, c.codes) for n, c in enumerate(self.columns) if c.codes is not None)

    @cached_property
    def texts_by_place(self) -> Texts:
        """Place, place and codes of each column of text."""
        return tuple((n, n, c.codes) for n, c in enumerate(self.columns) if c.codes is not None)


def _taking(keys: Sequence[Any]) -> Takes:
    return (lambda row: (row[keys[0]],)) if len(keys) == 1 else itemgetter(*keys)


def _column(plain: Mapping[str, object], categories: Sequence[str] | None) -> InputColumn:
    name, kind = str(plain["name"]), str(plain["type"])
    if kind not in set(Kind):
        raise ValueError(f"the column {name!r} is of type {kind}; a booster takes {', '.join(Kind)}")
    if (kind == Kind.STRING) != (categories is not None):
        held = "no categories" if categories is None else "categories"
        raise ValueError(f"the column {name!r} is of type {kind}, and the booster holds {held} for it")
    codes: dict[str | None, float] | None = None
    if categories is not None:
        codes = {value: float(code) for code, value in enumerate(categories)}
    return InputColumn(name, Kind(kind), bool(plain.get("required", True)), codes)
