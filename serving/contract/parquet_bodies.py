"""Parquet bodies, as pandas and others write them; read only after their footer says how much they hold."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from serving.contract.asked import Asked, check_rows
from serving.contract.cells import encode_cells
from serving.contract.refusals import Fault, RequestError, missing_column, refuse, unknown_column
from serving.contract.signature import EXPECTED, Kind

if TYPE_CHECKING:
    import numpy.typing as npt

    from serving.contract.signature import InputColumn, Signature


def read_parquet(body: bytes, signature: Signature, max_rows: int, max_bytes: int) -> Asked:
    """Read the rows of a Parquet body. Raises `RequestError`, naming the column where there is one.

    `max_bytes` bounds what its pages are when they are uncompressed, as the footer has it.
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(body))
        schema = file.schema_arrow
        groups = [file.metadata.row_group(n) for n in range(file.metadata.num_row_groups)]
    except (pa.ArrowException, OSError) as error:
        raise RequestError(f"The body is not Parquet: {_first_line(error)}") from None
    check_rows(file.metadata.num_rows, max_rows)
    uncompressed = sum(group.total_byte_size for group in groups)
    if uncompressed > max_bytes:
        raise RequestError(
            f"The body is {uncompressed:,} bytes when it is uncompressed, expected at most {max_bytes:,}",
            status=413,
        )
    names = [name for name in schema.names if name not in _index_columns(schema)]
    _check_names(names, schema, signature)
    try:
        table = file.read(columns=names, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise RequestError(f"The body is Parquet that cannot be read: {_first_line(error)}") from None
    return Asked(_encode(table, signature, max_bytes))


def _encode(table: pa.Table, signature: Signature, max_bytes: int) -> npt.NDArray[np.float32]:
    faults: list[Fault] = []
    matrix = np.empty((len(table), len(signature.columns)), dtype=np.float32)
    for position, column in enumerate(signature.columns):
        if column.name not in table.column_names:
            matrix[:, position] = np.nan
            continue
        values = _plain(table[column.name], column)
        if values.nbytes > max_bytes:  # run lengths and dictionaries can hold more than their pages say
            raise RequestError(f"The column {column.name!r} grows beyond {max_bytes:,} bytes", status=413)
        if column.codes is None and column.is_plain:
            numbers = pc.fill_null(values.cast(pa.float64(), safe=False), np.nan)
            matrix[:, position] = numbers.to_numpy()
        else:
            matrix[:, position] = encode_cells(values.to_pylist(), column, faults)
    if faults:
        raise refuse(sorted(faults, key=lambda fault: fault.row or 0))
    return matrix


def _plain(values: pa.ChunkedArray, column: InputColumn) -> pa.ChunkedArray:
    """Return the cells without the ways Arrow has to lay them out. Raises `RequestError` for another type."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        values = values.cast(kind.value_type)
        kind = kind.value_type
    fits = {
        Kind.STRING: _is_text,
        Kind.BOOLEAN: pa.types.is_boolean,
        Kind.LONG: pa.types.is_integer,
        Kind.INTEGER: pa.types.is_integer,
    }.get(column.kind, _is_number)
    if not fits(kind) and not pa.types.is_null(kind):
        raise refuse([Fault(None, column.name, f"values of type {str(kind)[:60]}", EXPECTED[column.kind])])
    return values


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _index_columns(schema: pa.Schema) -> set[str]:
    """Return the columns that pandas wrote for the index of a frame, which is no column of it."""
    try:
        said = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
        return {name for name in said.get("index_columns", ()) if isinstance(name, str)}
    except (ValueError, AttributeError, TypeError, RecursionError):
        return set()


def _check_names(names: list[str], schema: pa.Schema, signature: Signature) -> None:
    if len(set(schema.names)) != len(schema.names):
        raise RequestError("The body has two columns of one name; which one is meant cannot be told")
    faults = [missing_column(None, c) for c in signature.columns if c.required and c.name not in names]
    faults += [unknown_column(None, name, signature.names) for name in names if name not in signature.names]
    if faults:
        raise refuse(faults)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200] or type(error).__name__
