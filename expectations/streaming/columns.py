"""Columns: those of one batch, as arrays to compute with, each made once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.frames import to_series

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt
    import pandas as pd

    Mask = npt.NDArray[np.bool_]

Kind = Literal["float", "whole", "text", "flag", "other"]


@dataclass(frozen=True)
class Columns:
    """The columns of a table whose names are unique. Null and NaN are both missing.

    With `as_doubles`, what is float32 is taken for the doubles that it is equal to; they are made where
    something depends on it, which ranges and missing values do not.
    """

    table: pa.Table
    as_doubles: bool = False
    _made: dict[tuple[str, str], Any] = field(default_factory=dict)

    def kind(self, name: str) -> Kind:
        """Say what a column holds, as far as it is computed with; nulls alone are floats, as in pandas."""
        found = self._raw(name).type
        if found in (pa.float64(), pa.float32()):
            return "float"
        if pa.types.is_integer(found):
            return "whole"
        if pa.types.is_string(found) or pa.types.is_large_string(found):
            return "text"
        return "flag" if pa.types.is_boolean(found) else "other"

    def plain(self, name: str) -> pa.Array:
        """Return one array of the column's values: dictionaries are resolved, nulls alone are doubles."""
        return self._once("plain", name, lambda: self._widened(self._raw(name)))

    def missing(self, name: str) -> Mask | None:
        """Say which rows have no value; None where all have one. Of nested types, only nulls are missing."""
        found: Mask | None = self._once("missing", name, lambda: _missing(self._raw(name)))
        return found

    def present(self, name: str) -> int:
        """Count the rows that have a value."""
        missing = self.missing(name)
        absent = 0 if missing is None else int(np.count_nonzero(missing))
        return int(self.table.num_rows) - absent

    def numbers(self, name: str) -> npt.NDArray[Any]:
        """Return a numeric or boolean column in its own type, with NaN for a null, or 0 in integers."""
        made: npt.NDArray[Any] = self._once("numbers", name, lambda: _numbers(self.plain(name)))
        return made

    def singles(self, name: str) -> npt.NDArray[np.float32] | None:
        """Return a column of float32 as it is, with NaN for a null; None where it is of another type."""
        raw = self._raw(name)
        return _numbers(raw) if raw.type == pa.float32() else None

    def series(self, name: str) -> pd.Series[Any]:
        """Return the column as Great Expectations is given it."""
        made: pd.Series[Any] = self._once(
            "series", name, lambda: to_series(name, self._widened(self.table[name]))
        )
        return made

    def to_table(self, names: Sequence[str] | None = None) -> pa.Table:
        """Return the columns as they are talked of, or some of them."""
        chosen = self.table if names is None else self.table.select(list(dict.fromkeys(names)))
        return pa.table({name: self._widened(chosen[name]) for name in chosen.column_names})

    def _raw(self, name: str) -> pa.Array:
        return self._once("raw", name, lambda: _plain(self.table[name]))

    def _widened(self, values: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
        if self.as_doubles and pa.types.is_dictionary(values.type):
            values = values.cast(values.type.value_type)
        return values.cast(pa.float64()) if self.as_doubles and values.type == pa.float32() else values

    def _once(self, what: str, name: str, make: Callable[[], Any]) -> Any:
        if (what, name) not in self._made:
            self._made[what, name] = make()
        return self._made[what, name]


def _plain(column: pa.ChunkedArray) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_null(column.type):
        column = column.cast(pa.float64())
    if pa.types.is_string_view(column.type):
        column = column.cast(pa.large_string())
    # To combine a single chunk is to copy it.
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _missing(column: pa.Array) -> Mask | None:
    if pa.types.is_floating(column.type) and column.type != pa.float16():
        mask: Mask = np.isnan(_numbers(column))
        return mask if mask.any() else None
    if not column.null_count:
        return None
    nulls: Mask = pc.is_null(column).to_numpy(zero_copy_only=False)
    return nulls


def _numbers(column: pa.Array) -> npt.NDArray[Any]:
    if pa.types.is_integer(column.type) and column.null_count:
        column = pc.fill_null(column, pa.scalar(0, column.type))
    numbers: npt.NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return numbers
