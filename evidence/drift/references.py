"""What is kept of a column of the training rows, so that they need not be read again to see it drift."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from evidence.statistic import Floats

_BINS = 10
# More categories than these are no categories; what lies behind them is counted together.
_MOST_CATEGORIES = 1000


@dataclass(frozen=True)
class ColumnReference:
    """A column as it was: rows, how many are missing, and how many of the others lie in each bin.

    Bins of numbers are ]-inf, edge], ]edge, next edge], …, ]last edge, inf[; of categories, one for each, by
    name. `others` are values of categories too rare to have a bin.
    """

    kind: Literal["number", "category"]
    rows: int
    missing: int
    bins: tuple[int, ...]
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    others: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return it as values that JSON knows."""
        return asdict(self)

    @classmethod
    def of_json(cls, written: Mapping[str, Any]) -> ColumnReference:
        """Read what `as_json` wrote. Raises `ValueError` for anything else."""
        names = {field.name for field in fields(cls)}
        if set(written) != names:
            raise ValueError(
                f"found the keys {sorted(written)} of a column reference, expected {sorted(names)}"
            )
        lists = {name: tuple(written[name]) for name in ("bins", "edges", "categories")}
        found = cls(**{**written, **lists})
        expected = len(found.edges) + 1 if found.kind == "number" else len(found.categories)
        in_all = found.missing + sum(found.bins) + found.others
        if len(found.bins) != expected or in_all != found.rows or any(np.diff(found.edges) <= 0):
            raise ValueError(
                f"found a column reference of {found.rows} rows with {len(found.bins)} bins of {in_all} rows,"
                f" expected {expected} bins of all rows, by rising edges; make it again"
            )
        return found


@dataclass(frozen=True)
class BinCounts:
    """Values by the bins of a reference; `unseen` are in none: of numbers, none is. They add up."""

    bins: npt.NDArray[np.int64]
    unseen: int
    missing: int

    def __add__(self, other: BinCounts) -> BinCounts:
        return BinCounts(self.bins + other.bins, self.unseen + other.unseen, self.missing + other.missing)

    @property
    def rows(self) -> int:
        """All rows, missing ones too."""
        return int(self.bins.sum()) + self.unseen + self.missing


def refer_numbers(values: Floats, bins: int = _BINS) -> ColumnReference:
    """Refer to numbers, (rows,), by quantiles of theirs; NaN is missing, infinite values are numbers.

    A value that fills a bin alone, as 0 among amounts of rain, has one of its own, apart from what is less.
    """
    there = np.asarray(values, np.float64)
    there = there[~np.isnan(there)]
    # Of the values themselves, not between them: between -inf and inf there is nothing.
    cuts = np.quantile(there, np.arange(1, bins) / bins, method="inverted_cdf") if len(there) else np.empty(0)
    names, often = np.unique(cuts, return_counts=True)
    alone = names[(often > 1) | (len(names) == 1)]
    edges = np.union1d(names, np.nextafter(alone, -np.inf))
    edges = edges[np.isfinite(edges)]
    counts = np.bincount(np.searchsorted(edges, there), minlength=len(edges) + 1)
    missing = len(values) - len(there)
    return ColumnReference("number", len(values), missing, _plain(counts), tuple(map(float, edges)))


def refer_categories(values: npt.NDArray[np.object_]) -> ColumnReference:
    """Refer to strings, (rows,), by name; None is missing."""
    there = values[np.array([value is not None for value in values], np.bool_)].astype(np.str_)
    names, counts = np.unique(there, return_counts=True)
    kept = np.sort(np.argsort(-counts, kind="stable")[:_MOST_CATEGORIES])
    others = len(there) - int(counts[kept].sum())
    named = tuple(str(name) for name in names[kept])
    missing = len(values) - len(there)
    return ColumnReference("category", len(values), missing, _plain(counts[kept]), (), named, others)


def count_bins(reference: ColumnReference, values: npt.NDArray[Any]) -> BinCounts:
    """Count other values of the same column: floats of numbers, strings or None of categories; (rows,)."""
    if reference.kind == "number":
        there = np.asarray(values, np.float64)
        there = there[~np.isnan(there)]
        bins = np.bincount(np.searchsorted(reference.edges, there), minlength=len(reference.bins))
        return BinCounts(bins, 0, len(values) - len(there))
    number = {name: place for place, name in enumerate(reference.categories)}
    places = np.array([number.get(value, -1) for value in values if value is not None], np.int64)
    bins = np.bincount(places[places >= 0], minlength=len(number))
    return BinCounts(bins, int((places < 0).sum()), len(values) - len(places))


def _plain(counts: npt.NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(int(count) for count in counts)
