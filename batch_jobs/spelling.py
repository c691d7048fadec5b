"""Rows written down as JSON, whole, whatever types they have. Pure."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from typing import Any


def spelled_rows(table: pa.Table) -> list[str]:
    """Return each row as a JSON object.

    What has no JSON of its own is text: times, decimals, bytes, and infinities, as `Infinity`. NaN is null,
    which it is to models and suites as well.
    """
    columns = {name: _plain(table[name]) for name in table.column_names}
    return [
        _spelled(dict(zip(columns, values, strict=True))) for values in zip(*columns.values(), strict=True)
    ]


def _plain(values: pa.ChunkedArray) -> list[Any]:
    try:
        # Times of Python end at microseconds, and at the year 9999.
        return list((values.cast(pa.string()) if pa.types.is_temporal(values.type) else values).to_pylist())
    except (pa.ArrowException, OverflowError, ValueError):
        # A time zone that nobody knows, a time that no calendar has, also within lists and structs.
        return [_printed(values.slice(row, 1)) for row in range(len(values))]


def _printed(value: pa.ChunkedArray) -> str | None:
    return None if value.null_count else " ".join(value.combine_chunks().to_string(indent=0).split())[2:-2]


def _spelled(row: dict[str, Any]) -> str:
    try:
        return json.dumps(row, default=str, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(row), default=str, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, (list, tuple)) else value
