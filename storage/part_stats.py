"""What Delta's log says of the columns of one file, so that readers can pass over it."""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from typing import Any

# A longer text would have to be cut, the upper bound upwards; who prunes by such?
_LONGEST_TEXT = 64


class PartStats:
    """Gathers bounds and null counts of a file: from its footer, and of constant columns from the rows."""

    def __init__(self) -> None:
        self._constants: dict[str, list[Any]] = {}
        self._nulls: dict[str, int] = {}
        self._unordered: set[str] = set()

    def see(self, group: pa.Table) -> None:
        """Look at what the footer will not say of some rows; their dictionaries must be unified."""
        for column in group.schema:
            if pa.types.is_floating(column.type) and pc.any(pc.is_nan(group[column.name])).as_py():
                # Some readers hold NaN to be above every number; Parquet's bounds pass over it.
                self._unordered.add(column.name)
            if not pa.types.is_dictionary(column.type):
                continue
            values = group[column.name]
            # Unified: every chunk has the same dictionary. What a row refers to may be less than it.
            known = values.chunk(0).dictionary
            seen = self._constants.setdefault(column.name, [])
            seen.extend(known.to_pylist() if len(known) == 1 and not values.null_count else [None, None])
            self._nulls[column.name] = self._nulls.get(column.name, 0) + values.null_count

    def finish(self, footer: Any) -> dict[str, Any]:
        """Return `minValues`, `maxValues` and `nullCount`, given the footer of the written file."""
        low: dict[str, Any] = {}
        high: dict[str, Any] = {}
        nulls = dict(self._nulls)
        for name, values in self._constants.items():
            if len(set(values)) == 1 and (plain := _plain(values[0])) is not None:
                low[name] = high[name] = plain
        for index in range(footer.num_columns):
            chunks = [footer.row_group(group).column(index) for group in range(footer.num_row_groups)]
            name = chunks[0].path_in_schema
            stats = [chunk.statistics for chunk in chunks]
            if name in nulls or "." in name or any(s is None or not s.has_null_count for s in stats):
                continue
            nulls[name] = sum(s.null_count for s in stats)
            bounded = [s for s in stats if s.has_min_max]
            # A group without bounds is one of nulls, or one whose values have no order.
            unbounded = any(s.num_values for s in stats if not s.has_min_max)
            if name in self._unordered or not bounded or unbounded:
                continue
            least, most = _plain(min(s.min for s in bounded)), _plain(max(s.max for s in bounded))
            if least is not None and most is not None:
                low[name], high[name] = least, most
        return {"minValues": low, "maxValues": high, "nullCount": nulls}


def _plain(value: Any) -> Any:
    """Return a bound as JSON has it; None where it has none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return value if len(value) <= _LONGEST_TEXT else None
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value.isoformat()
    return value if isinstance(value, int) else None
