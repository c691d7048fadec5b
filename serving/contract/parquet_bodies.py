"""Parquet bodies, as pandas and others write them; read only once it is known how much they hold."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from serving.contract.asked import Asked, check_rows
from serving.contract.cells import encode_cells
from serving.contract.parquet_pages import PagesError, uncompressed_bytes
from serving.contract.refusals import Fault, Faults, RequestError, wrong_names
from serving.contract.signature import EXPECTED, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy.typing as npt

    from serving.contract.signature import InputColumn, Signature

# What Arrow raises over bytes that are not what they should be. Its messages may repeat some of them.
_UNREADABLE = (pa.ArrowException, OSError, UnicodeDecodeError)
_UNREADABLE_PAGES = "The body is Parquet whose pages cannot be read"
_TYPE_CHARACTERS = 30


def read_parquet(body: bytes, signature: Signature, max_rows: int, max_bytes: int) -> Asked:
    """Read the rows of a Parquet body. Raises `RequestError`, naming the column where there is one.

    `max_bytes` bounds what its pages are when they are uncompressed, by their own headers.
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(body))
        schema, metadata = file.schema_arrow, file.metadata
        groups = [metadata.row_group(n) for n in range(metadata.num_row_groups)]
        names = [name for name in schema.names if name not in _index_columns(schema)]
    except _UNREADABLE:
        raise RequestError("The body is not Parquet: its footer cannot be read") from None
    check_rows(sum(group.num_rows for group in groups), max_rows)
    try:
        uncompressed = uncompressed_bytes(body)
    except PagesError:
        raise RequestError(_UNREADABLE_PAGES) from None
    if uncompressed > max_bytes:
        raise RequestError(
            f"The body is {uncompressed:,} bytes when it is uncompressed, expected at most {max_bytes:,}",
            status=413,
        )
    _check_names(names, schema, signature)
    known = {column.name: column for column in signature.columns}
    _check_types([(known[name], schema.field(name).type) for name in names])
    # Texts as their dictionaries: a body of kilobytes can repeat one until it takes gigabytes.
    texts = [name for name in names if known[name].kind == Kind.STRING]
    try:
        source = pa.BufferReader(body)
        file = pq.ParquetFile(source, metadata=metadata, read_dictionary=texts)
        table = file.read(columns=names, use_threads=False)
        check_rows(len(table), max_rows)
        return Asked(_encode(table, signature))
    except _UNREADABLE:
        raise RequestError(_UNREADABLE_PAGES) from None


def _encode(table: pa.Table, signature: Signature) -> npt.NDArray[np.float32]:
    faults = Faults()
    matrix = np.empty((len(table), len(signature.columns)), dtype=np.float32)
    for position, column in enumerate(signature.columns):
        if column.name not in table.column_names:
            matrix[:, position] = np.nan
            continue
        values = table[column.name]
        if column.codes is not None:
            matrix[:, position] = _encode_texts(values, column.codes)
            continue
        if pa.types.is_dictionary(values.type):
            values = values.cast(values.type.value_type)
        if column.is_plain:
            numbers = pc.fill_null(values.cast(pa.float64(), safe=False), np.nan)
            matrix[:, position] = numbers.to_numpy()
        else:
            matrix[:, position] = encode_cells(values.to_pylist(), column, faults)
    faults.check()
    return matrix


def _encode_texts(values: pa.ChunkedArray, codes: Mapping[str | None, float]) -> npt.NDArray[np.float64]:
    """Return the codes of texts, by way of their dictionaries."""
    if pa.types.is_null(values.type):
        return np.full(len(values), np.nan)
    parts = [np.empty(0)]
    for chunk in values.chunks:
        chunk.validate(full=True)  # Arrow does not look whether the places of a dictionary are in it
        # One more, for null, is at the end: where -1 is.
        found = np.array([*(codes.get(text, np.nan) for text in chunk.dictionary.to_pylist()), np.nan])
        parts.append(found[pc.fill_null(chunk.indices.cast(pa.int64()), -1).to_numpy()])
    return np.concatenate(parts)


def _check_types(found: Iterable[tuple[InputColumn, pa.DataType]]) -> None:
    faults = Faults()
    for column, kind in found:
        plain = kind.value_type if pa.types.is_dictionary(kind) else kind
        fits = _FITTING.get(column.kind, _is_number)
        if not fits(plain) and not pa.types.is_null(plain):
            # Of a type, its name alone: what it is made of are words of the caller.
            name = str(plain).partition("<")[0].partition("[")[0][:_TYPE_CHARACTERS]
            faults.add(1, [Fault(None, column.name, f"values of type {name}", EXPECTED[column.kind])])
    faults.check()


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


_FITTING = {
    Kind.STRING: _is_text,
    Kind.BOOLEAN: pa.types.is_boolean,
    Kind.LONG: pa.types.is_integer,
    Kind.INTEGER: pa.types.is_integer,
}


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
    faults = Faults()
    wrong_names(None, names, signature, faults)
    faults.check()
