"""Arrow to pandas without a change of meaning: the frame Great Expectations is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from expectations.errors import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Mapping

# By default pandas reads integers with nulls as doubles (2**53 + 1 becomes 2**53, 7 reads "7.0")
# and booleans with nulls as objects; these types keep the value and the null apart.
_NULLABLE: Mapping[pa.DataType, object] = {
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(),
    pa.uint16(): pd.UInt16Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Convert a table whose column names are unique; row k of the table has index k.

    Null and NaN are both missing. Integers and booleans stay what they are, nulls or not;
    dictionaries become their values; a pandas index in the schema's metadata stays a column.

    Raises `UnreadableError` if a column's type has no counterpart in pandas.
    """
    columns = {
        name: to_series(name, column) for name, column in zip(table.column_names, table.columns, strict=True)
    }
    return pd.DataFrame(columns, index=pd.RangeIndex(table.num_rows))


def to_series(name: str, column: pa.ChunkedArray) -> pd.Series[Any]:
    """Convert one column as `to_frame` does; its name is for the message."""
    kind = column.type
    try:
        if pa.types.is_dictionary(kind):
            column = column.cast(kind.value_type)
        elif pa.types.is_null(kind):
            column = column.cast(pa.float64())
        series: pd.Series[Any] = column.to_pandas(types_mapper=_NULLABLE.get if column.null_count else None)
    except (pa.ArrowException, NotImplementedError, ValueError, TypeError) as error:
        raise UnreadableError(
            f"column {name!r} of type {kind} cannot be checked ({error}); "
            "expected numbers, text, booleans, dates or timestamps"
        ) from error
    return series
