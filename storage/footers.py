"""Holds parts against what lies on S3: a wrong one would commit silently, and break every reader."""

from __future__ import annotations

import io
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pyarrow as pa

from storage.errors import StorageError, UnreadableFileError
from storage.parts import file_schema

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from storage.objects import Store
    from storage.parts import Part

_TAIL_BYTES = 2**16
_MAGIC = b"PAR1"
_AT_ONCE = 8


def check_parts(
    table_uri: str,
    parts: Sequence[Part],
    schema: pa.Schema,
    partition: tuple[str, str],
    partition_by: Sequence[str],
    store: Store,
) -> None:
    """Raise `StorageError` unless each part belongs there, and its file is what the part claims.

    Of each file, only the footer is read.
    """
    column, value = partition
    twice = [path for path, count in Counter(part.path for part in parts).items() if count > 1]
    if twice:
        raise StorageError(f"The part {twice[0]} is named more than once; its rows would count once")
    for part in parts:
        if list(part.partition) != list(partition_by) or part.partition[column] != value:
            raise StorageError(
                f"The part {part.path} is of the partition {dict(part.partition)};"
                f" expected {column}={value}, and values of {', '.join(partition_by)}"
            )
    expected = file_schema(schema, partition_by)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        checks = [pool.submit(_check, f"{table_uri}/{part.path}", part, expected, store) for part in parts]
    for check in checks:
        check.result()


def _check(uri: str, part: Part, expected: pa.Schema, store: Store) -> None:
    footer, size_bytes = _footer(uri, store)
    if size_bytes != part.size_bytes:
        raise StorageError(f"The part {uri} has {size_bytes} bytes; expected {part.size_bytes}, as written")
    if footer.num_rows != part.rows:
        raise StorageError(f"The part {uri} has {footer.num_rows} rows; expected {part.rows}, as written")
    found = footer.schema.to_arrow_schema()
    if _columns(found) != _columns(expected):
        raise StorageError(
            f"The part {uri} does not fit its table: its columns are {_shown(found, expected)};"
            f" expected {_shown(expected, found)}"
        )


def _shown(these: pa.Schema, others: pa.Schema) -> str:
    """Name the columns that differ; all of them where only their order does."""
    differing = [column for column in _columns(these) if column not in _columns(others)]
    missing = [column for column in _columns(others) if column not in _columns(these)]
    return ", ".join(differing or (["nothing else"] if missing else _columns(these)))


def _columns(schema: pa.Schema) -> list[str]:
    return [f"{column.name}: {column.type}".replace("list<item:", "list<element:") for column in schema]


def _footer(uri: str, store: Store) -> tuple[Any, int]:
    import pyarrow.parquet as pq

    tail, size_bytes = store.tail(uri, _TAIL_BYTES)
    length = int.from_bytes(tail[-8:-4], "little") + 8
    if length > len(tail) and length <= size_bytes:
        tail, size_bytes = store.tail(uri, length)
    if tail[-4:] != _MAGIC or length > len(tail):
        raise UnreadableFileError(f"The part {uri} is no whole Parquet file: its footer is missing")
    try:
        # To Parquet, a file of nothing but its footer is one; where the columns lie is not looked at.
        return pq.read_metadata(io.BytesIO(_MAGIC + tail[-length:])), size_bytes
    except (pa.ArrowException, OSError) as error:
        raise UnreadableFileError(f"The part {uri} is no whole Parquet file: {error}") from error
