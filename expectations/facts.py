"""Facts: what the values of a column are, small enough to keep, and how those of two parts add up. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np

from expectations.errors import InferenceError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    import numpy.typing as npt

    from expectations.sampling import Sample

    Hashes = npt.NDArray[np.uint64]
    Value = str | float | bool

_Ordered = TypeVar("_Ordered", int, float, "dt.date")

Kind = Literal["number", "text", "flag", "time", "other", "empty"]

# A set of more values is no list that a person would keep up to date.
MOST_VALUES = 20
# Of so many smallest hashes, the count of all can be estimated to about 3 %.
_KEPT_HASHES = 1024


@dataclass(frozen=True)
class ColumnFacts:
    """What is known of a column's values; null and NaN are both missing.

    `low`, `high` and `total` are of finite numbers, `endless` says that infinite ones were seen. `shortest`
    and `longest` count the characters of text (and of a CSV's numbers, which are text until all are seen).
    `values` are all there are, None where they are more than `MOST_VALUES`. `first` and `last` are days.
    `same_as_label` says that every row has the label's own value.

    Text and whole numbers are hashed: `smallest` are the least hashes, for an estimate of how many values
    there are; `hashes` are all, None once a value came twice: 8 bytes a row, only for what may be a key.
    `sample` is of finite numbers.
    """

    name: str
    kind: Kind
    rows: int
    missing: int
    whole: bool = False
    low: float | None = None
    high: float | None = None
    total: float = 0.0
    endless: bool = False
    shortest: int | None = None
    longest: int | None = None
    first: dt.date | None = None
    last: dt.date | None = None
    values: frozenset[Value] | None = frozenset()
    same_as_label: bool = False
    smallest: Hashes | None = None
    hashes: tuple[Hashes, ...] | None = None
    sample: Sample | None = None

    @property
    def present(self) -> int:
        """Rows with a value."""
        return self.rows - self.missing

    @property
    def mean(self) -> float | None:
        """The mean of the finite numbers."""
        return self.total / self.present if self.low is not None else None

    @property
    def distinct(self) -> float | None:
        """How many different values there are: counted to 1,023, estimated above; None if not hashed."""
        if self.smallest is None:
            return None
        if len(self.smallest) < _KEPT_HASHES:
            return float(len(self.smallest))
        return (_KEPT_HASHES - 1) / (float(self.smallest[-1]) / 2.0**64)

    @property
    def is_unique(self) -> bool:
        """Whether no value comes twice, for certain."""
        if self.hashes is None or not self.present:
            return False
        return len(np.unique(np.concatenate(self.hashes))) == self.present


@dataclass(frozen=True)
class BatchFacts:
    """One batch, the files of one folder (`name`, an URI): its rows; by column, the share with a value.

    `samples` are small ones, of columns of numbers.
    """

    name: str
    rows: int
    present: Mapping[str, float]
    samples: Mapping[str, Sample] = field(default_factory=dict)


@dataclass(frozen=True)
class TableFacts:
    """All that lies under `uri`; `repeated` are the columns with a value twice in one batch."""

    uri: str
    columns: Mapping[str, ColumnFacts]
    batches: tuple[BatchFacts, ...]
    repeated: frozenset[str]

    @property
    def rows(self) -> int:
        """Rows of all batches."""
        return sum(batch.rows for batch in self.batches)

    def column(self, name: str, role: str) -> ColumnFacts:
        """Return a column that a user named. Raises `InferenceError` where there is none of the name."""
        if name not in self.columns:
            raise InferenceError(
                f"There is no column {name!r} for the {role} under {self.uri}; there is:"
                f" {', '.join(self.columns)}"
            )
        return self.columns[name]


def merge(one: ColumnFacts, other: ColumnFacts) -> ColumnFacts:
    """Add up the facts of two parts of one column. Raises `InferenceError` where they are of two kinds."""
    return replace(
        one,
        kind=_merged_kind(one, other),
        rows=one.rows + other.rows,
        missing=one.missing + other.missing,
        whole=(one.whole or not one.present) and (other.whole or not other.present),
        low=_least(one.low, other.low),
        high=_most(one.high, other.high),
        total=one.total + other.total,
        endless=one.endless or other.endless,
        shortest=_least(one.shortest, other.shortest),
        longest=_most(one.longest, other.longest),
        first=_least(one.first, other.first),
        last=_most(one.last, other.last),
        values=_merged_values(one.values, other.values),
        same_as_label=one.same_as_label and other.same_as_label,
        smallest=_merged_smallest(one, other),
        hashes=_merged_hashes(one, other),
        sample=one.sample.merge(other.sample) if one.sample and other.sample else one.sample or other.sample,
    )


def smallest_of(hashes: Hashes) -> Hashes:
    """Keep the smallest of some hashes, each once."""
    return np.unique(hashes)[:_KEPT_HASHES]


def _merged_kind(one: ColumnFacts, other: ColumnFacts) -> Kind:
    kinds = {one.kind, other.kind} - {"empty"}
    if len(kinds) < 2:  # noqa: PLR2004  # nothing to decide between
        return kinds.pop() if kinds else "empty"
    written = all(part.shortest is not None for part in (one, other))
    if written:
        # A CSV's column is text as soon as one of its values is.
        return "text"
    raise InferenceError(
        f"The column {one.name!r} holds {' in some files and '.join(sorted(kinds))} in others; expected one"
        " kind. Deliver it again with one type, or leave it out with --ignore"
    )


def _merged_values(one: frozenset[Value] | None, other: frozenset[Value] | None) -> frozenset[Value] | None:
    if one is None or other is None:
        return None
    together = one | other
    return together if len(together) <= MOST_VALUES else None


def _merged_smallest(one: ColumnFacts, other: ColumnFacts) -> Hashes | None:
    parts = [part.smallest for part in (one, other) if part.present]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    return smallest_of(np.concatenate(known)) if known else None


def _merged_hashes(one: ColumnFacts, other: ColumnFacts) -> tuple[Hashes, ...] | None:
    parts = [part.hashes for part in (one, other) if part.present]
    known = [part for part in parts if part is not None]
    return sum(known, ()) if known and len(known) == len(parts) else None


def _least(one: _Ordered | None, other: _Ordered | None) -> _Ordered | None:
    known = [value for value in (one, other) if value is not None]
    return min(known) if known else None


def _most(one: _Ordered | None, other: _Ordered | None) -> _Ordered | None:
    known = [value for value in (one, other) if value is not None]
    return max(known) if known else None
