"""What a request is about, as it says in a header or a column. Pure.

Rows of one request are answered by one version; so a column says what the request is about where it holds the
same in all rows.
"""

from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping

    from serving.routing.declaration import EntityKey

# What is longer is no key, and would be written down with every request.
_MOST_BYTES = 256
_JSON, _CSV = "application/json", "text/csv"


def entity_of(key: EntityKey, headers: Mapping[bytes, bytes], content_type: str, body: bytes) -> bytes | None:
    """Return the entity of a request as UTF-8; None where it names none, or rows name several.

    A number is the same entity however JSON or Parquet have it (5, 5.0). Raises nothing: whether a body can
    be read is for the version to say that answers it.
    """
    if key.header is not None:
        found = headers.get(key.header.encode())
        return found if found and len(found) <= _MOST_BYTES else None
    values = _column(key.column or "", content_type.partition(";")[0].strip().lower(), body)
    texts = {_text(value) for value in values}
    [only] = texts if len(texts) == 1 else [None]
    return only if only and len(only) <= _MOST_BYTES else None


def _column(name: str, kind: str, body: bytes) -> list[Any]:
    try:
        if kind == _JSON:
            return _of_json(orjson.loads(body), name)
        if kind == _CSV:
            return [row.get(name) for row in csv.DictReader(io.StringIO(body.decode()))]
        return _of_parquet(body, name)
    except Exception:  # noqa: BLE001  # whatever a client sends, this is not where it is refused
        return []


def _of_json(found: Any, name: str) -> list[Any]:
    [(form, rows)] = [(form, rows) for form, rows in found.items() if form != "params"]
    if form in {"dataframe_records", "instances"}:
        return [row.get(name) for row in rows]
    if form == "dataframe_split":
        at = rows["columns"].index(name)
        return [row[at] for row in rows["data"]]
    column = rows.get(name)
    return column if isinstance(column, list) else [column]


def _of_parquet(body: bytes, name: str) -> list[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(pa.BufferReader(body))
    return file.read(columns=[name]).column(0).unique().to_pylist()  # type: ignore[no-any-return]  # pyarrow has no types


def _text(value: Any) -> bytes | None:
    if isinstance(value, str):
        return value.encode() or None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return str(int(value) if value == int(value) else value).encode()
