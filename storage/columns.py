"""Some columns of single files of a table: all their rows, or the first. The log names the files."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from storage.errors import UnreadableFileError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.objects import Store

_AT_ONCE = 8


def file_columns(table_uri: str, path: str, columns: Sequence[str] | None, store: Store) -> pa.Table:
    """Read columns of one file of a table, all by default; `path` is relative to it."""
    import pyarrow.parquet as pq

    uri = f"{table_uri}/{path}"
    try:
        return pq.ParquetFile(store.open(store.pin(uri))).read(columns if columns is None else list(columns))
    except (pa.ArrowException, OSError) as error:
        raise UnreadableFileError(f"{uri} is not a whole Parquet file: {error}") from error


def first_rows(
    table_uri: str, paths: Sequence[str], columns: Sequence[str], store: Store
) -> list[dict[str, Any] | None]:
    """Read columns of the first row of each of several files, a few at once; None for a file without rows."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda path: _first(f"{table_uri}/{path}", columns, store), paths))


def _first(uri: str, columns: Sequence[str], store: Store) -> dict[str, Any] | None:
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(store.open(store.pin(uri)))
        found = next(file.iter_batches(batch_size=1, columns=list(columns)), None)
    except (pa.ArrowException, OSError) as error:
        raise UnreadableFileError(f"{uri} is not a whole Parquet file: {error}") from error
    return found.to_pylist()[0] if found is not None and len(found) else None
