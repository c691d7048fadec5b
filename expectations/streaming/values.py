"""Value counts: how often each value of a column was seen, as long as there are not too many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    Value = str | float

# Of text that is a few hundred kilobytes in a tally.
MOST_VALUES = 10_000


@dataclass(frozen=True, slots=True)
class ValueCounts:
    """Values with their counts; None where they are more than `MOST_VALUES`."""

    counts: Mapping[Value, int] | None

    @classmethod
    def of(cls, values: pa.Array) -> ValueCounts:
        """Count numbers or text without nulls and NaN."""
        counted = pc.value_counts(values)
        if len(counted) > MOST_VALUES:
            return cls(None)
        pairs = zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True)
        return _bounded(list(pairs))

    def merge(self, other: ValueCounts) -> ValueCounts:
        """Add up two parts."""
        if self.counts is None or other.counts is None:
            return ValueCounts(None)
        return _bounded([*self.counts.items(), *other.counts.items()])


def _bounded(pairs: list[tuple[Value, int]]) -> ValueCounts:
    counts: dict[Value, int] = {}
    for value, count in pairs:
        counts[value] = counts.get(value, 0) + count
    return ValueCounts(counts if len(counts) <= MOST_VALUES else None)
