"""Many times the flights: every delivered row again and again, its numbers jittered, its key its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from projects.rows.delivery import Delivery

if TYPE_CHECKING:
    from collections.abc import Iterator

# Relative, so that a zero stays one, and no number comes to lie far from where it was.
_SPREAD = 0.01


def repeated(deliveries: Iterator[Delivery], times: int, row_key: str, seed: int) -> Iterator[Delivery]:
    """Yield each day with `times` as many rows: each as it is, and `times` - 1 jittered ones.

    Features and outcomes of a copy have the same key, which no other row has.
    """
    random = np.random.default_rng(seed)
    for delivery in deliveries:
        tables = [delivery.features, *([] if delivery.outcomes is None else [delivery.outcomes])]
        yield Delivery(
            delivery.day,
            *(
                pa.concat_tables([_copy(table, number, row_key, random) for number in range(times)])
                for table in tables
            ),
        )


def _copy(table: pa.Table, number: int, row_key: str, random: np.random.Generator) -> pa.Table:
    if number == 0:
        return table
    key = table[row_key]
    keys = pc.binary_join_element_wise(key, pa.scalar(str(number), key.type), pa.scalar("+", key.type))
    columns = [
        keys if field.name == row_key else _jittered(column, random)
        for field, column in zip(table.schema, table.columns, strict=True)
    ]
    return pa.table(columns, schema=table.schema)


def _jittered(column: pa.ChunkedArray, random: np.random.Generator) -> pa.ChunkedArray:
    if not pa.types.is_floating(column.type):
        return column
    # Times a null is a null.
    return pc.multiply(column, pa.array(random.normal(1, _SPREAD, len(column))))
