"""The raw columns of a request's rows, as JSON objects: what was sent, before it became numbers of a booster.

Only for requests that were answered: what the contract refuses has no rows.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import orjson

from serving.contract.csv_bodies import MISSING
from serving.contract.requests import CSV, JSON, media_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_SPLIT = "dataframe_split"
_FORMS = (_SPLIT, "dataframe_records", "instances", "inputs")
_TEXT = "string"


def raw_rows(content_type: str, body: bytes, kinds: Mapping[str, str]) -> list[str] | None:
    """Return each row as a JSON object; None where the body is none of a served model.

    `kinds` are the columns of its signature, by MLflow's names for types: they say what a cell of CSV is.
    """
    try:
        kind = media_type(content_type)
        if kind == JSON:
            rows = _of_json(orjson.loads(body))
        elif kind == CSV:
            rows = _of_csv(body.decode("utf-8-sig"), kinds)
        else:
            rows = _of_parquet(body)
        return [orjson.dumps(row, default=str, option=orjson.OPT_NON_STR_KEYS).decode() for row in rows]
    except Exception:  # noqa: BLE001  # whatever a client sent: it is not worth the others' rows
        return None


def _of_json(said: dict[str, Any]) -> list[dict[str, Any]]:
    form = next(name for name in _FORMS if name in said)
    data = said[form]
    if form == _SPLIT:
        return _named(data["columns"], data["data"])
    if isinstance(data, list):
        return [dict(row) for row in data]
    lists = {name: value if isinstance(value, list) else [value] for name, value in data.items()}
    return _named(list(lists), zip(*lists.values(), strict=True))


def _named(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(names, row, strict=True)) for row in rows]


def _of_csv(text: str, kinds: Mapping[str, str]) -> list[dict[str, Any]]:
    names, *rows = (row for row in csv.reader(io.StringIO(text, newline="")) if row)
    return _named(
        names, ([_cell(c, kinds.get(n, _TEXT)) for n, c in zip(names, r, strict=True)] for r in rows)
    )


def _cell(text: str, kind: str) -> object:
    if text in MISSING:
        return None
    return text if kind == _TEXT else orjson.loads(text.lower()) if kind == "boolean" else float(text)


def _of_parquet(body: bytes) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    found: list[dict[str, Any]] = pq.read_table(io.BytesIO(body)).to_pylist()
    return found
