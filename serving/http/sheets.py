"""What there is to say of each model that an endpoint serves now, for its descriptions. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from serving.contract.limits import Limits
from serving.contract.refusals import RequestError
from serving.contract.requests import JSON
from serving.contract.signature import EXPECTED
from serving.models.served import BoosterModel
from serving.models.through_mlflow import Lenient

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from serving.contract.signature import InputColumn, Signature
    from serving.http.stage import Standing
    from serving.models.served import ServedModel

# So many values of an example show what a column is like; so long a body is still an example.
_SHOWN, _LONGEST_BODY = 3, 4000


@dataclass(frozen=True)
class ColumnSheet:
    """One column: what a cell of it may be, values of the example as JSON, categories seen in training."""

    name: str
    expected: str
    required: bool
    examples: tuple[str, ...]
    categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sheet:
    """One model. Nothing but its name where no version of it answers.

    `signature` is None where MLflow reads the requests. `body` is a request that can be sent as it is, of one
    row where that can be told, and `answer` what it is answered with.
    """

    model: str
    version: int | None = None
    digest: str = ""
    signature: Signature | None = None
    columns: tuple[ColumnSheet, ...] = ()
    body: dict[str, Any] | None = None
    answer: dict[str, Any] | None = None


def sheet_of(standing: Standing) -> Sheet:
    """Make the sheet of a model, from the version that is served now."""
    served = standing.serves
    if served is None:
        return Sheet(standing.name)
    said = served.description
    example = json.loads(said.example) if said.example else None
    rows = _rows_of(example)
    if said.signature is not None:
        columns = tuple(_column(column, rows) for column in said.signature.columns)
        rows = rows or [dict.fromkeys((column.name for column in columns), None)]
    else:
        columns = tuple(_foreign(plain, rows) for plain in said.inputs if "name" in plain)
    body = {"dataframe_records": rows[:1]} if rows else _short(example, said.example)
    version = served.version
    return Sheet(
        standing.name, version.number, version.digest, said.signature, columns, body, _answer(served, body)
    )


def _rows_of(example: Any) -> list[dict[str, Any]]:
    """Return the rows of an example as records, none where it has no columns with names."""
    if not isinstance(example, dict):
        return []
    if isinstance(split := example.get("dataframe_split"), dict) and "columns" in split:
        return [dict(zip(split["columns"], cells, strict=True)) for cells in split["data"]]
    found = next(
        (example[name] for name in ("dataframe_records", "instances", "inputs") if name in example), None
    )
    if isinstance(found, list) and all(isinstance(row, dict) for row in found):
        return found
    return []


def _column(column: InputColumn, rows: Sequence[Mapping[str, Any]]) -> ColumnSheet:
    return ColumnSheet(
        column.name,
        EXPECTED[column.kind],
        column.required,
        _values(column.name, rows),
        column.categories,
    )


def _foreign(plain: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> ColumnSheet:
    name = str(plain["name"])
    return ColumnSheet(name, str(plain["type"]), bool(plain.get("required", True)), _values(name, rows))


def _values(name: str, rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    found = dict.fromkeys(json.dumps(row.get(name), ensure_ascii=False) for row in rows)
    return tuple(found)[:_SHOWN]


def _short(example: Any, body: bytes | None) -> dict[str, Any] | None:
    return example if isinstance(example, dict) and body and len(body) <= _LONGEST_BODY else None


def _answer(served: ServedModel, body: dict[str, Any] | None) -> dict[str, Any] | None:
    """Ask a booster. Nobody knows how long another model takes, and whoever reads of it can ask it."""
    model = served.model if isinstance(served, Lenient) else served
    if body is None or not isinstance(model, BoosterModel):
        return None
    try:
        asked = model.read(JSON, json.dumps(body).encode(), Limits())
    except RequestError:
        return None
    return json.loads(model.answer(asked).body)  # type: ignore[no-any-return]  # an object, by the contract
