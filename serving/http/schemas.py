"""JSON schemas (2020-12) of the bodies that the contract reads, from a signature. Pure.

A schema says less than the contract does where JSON Schema has no words for it: `dataframe_split` may name
its columns in any order, and an object of columns may have any number of rows, if each has as many.
"""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Any

from serving.contract.signature import EXPECTED, Kind

if TYPE_CHECKING:
    from serving.contract.signature import InputColumn, Signature

    Schema = dict[str, Any]

PARAMS: Schema = {
    "type": ["object", "null"],
    "properties": {
        "explain": {
            "type": "boolean",
            "description": "Answer with SHAP contributions of each column, too; they and the base add up to"
            " the margin of a row.",
        }
    },
    "additionalProperties": False,
}
# What MLflow's own reading takes, for a model that it answers for.
ANY_FORM: Schema = {
    "type": "object",
    "description": "One of MLflow's four formats; MLflow says what else it holds.",
    "oneOf": [
        {"required": [name]} for name in ("dataframe_records", "dataframe_split", "instances", "inputs")
    ],
}
_TYPES: dict[Kind, Schema] = {
    Kind.DOUBLE: {"type": ["number", "null"]},
    Kind.FLOAT: {"type": ["number", "null"]},
    Kind.LONG: {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
    Kind.INTEGER: {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    Kind.BOOLEAN: {"type": "boolean"},
    Kind.STRING: {"type": ["string", "null"]},
}
_CSV_NUMBER = r"([+-]?([0-9]{1,18}(\.[0-9]{0,18})?|\.[0-9]{1,18})([eE][+-]?[0-9]{1,2})?)?"
_CSV_CELLS = {
    Kind.DOUBLE: _CSV_NUMBER,
    Kind.FLOAT: _CSV_NUMBER,
    Kind.LONG: "-?[0-9]{1,18}",
    Kind.INTEGER: "-?[0-9]{1,9}",
    Kind.BOOLEAN: "(true|false)",
    Kind.STRING: r'("([^"\u0000]|"")*"|[^",\r\n\u0000]*)',
}
_SYNTAX = re.compile(r"[\^$\\.*+?()\[\]{}|]")
_CATEGORIES = 12


def record(signature: Signature) -> Schema:
    """Return the schema of one row: an object with a value for each column."""
    return {
        "type": "object",
        "properties": {column.name: _described(column) for column in signature.columns},
        "required": [column.name for column in signature.columns if column.required],
        "additionalProperties": False,
    }


def forms(signature: Signature, row: Schema, max_rows: int) -> Schema:
    """Return the schema of a JSON body in one of the four formats, `row` being the schema of a row in it."""
    rows = {"type": "array", "items": row, "minItems": 1, "maxItems": max_rows}
    columns = _object_of_columns(signature)
    return {
        "oneOf": [
            _form("dataframe_records", rows),
            _form("dataframe_split", _split(signature, max_rows)),
            _form("instances", {"anyOf": [rows, columns]}),
            _form("inputs", {"anyOf": [rows, columns]}),
        ]
    }


def csv_pattern(signature: Signature) -> str:
    """Return a regular expression of CSV bodies: the names of all columns, then rows."""
    cells = [_CSV_CELLS[column.kind] for column in signature.columns]
    if len(cells) == 1:
        # A line without anything is no row.
        cells = [f"(?=[^\\r\\n]){cells[0]}"]
    header = io.StringIO()
    csv.writer(header, lineterminator="").writerow(signature_names(signature))
    return f"^{_SYNTAX.sub(_escape, header.getvalue())}(\\r?\\n{','.join(cells)})+(\\r?\\n)?$"


def signature_names(signature: Signature) -> list[str]:
    """Return the names of all columns, in the order of the booster."""
    return [column.name for column in signature.columns]


def _form(name: str, rows: Schema) -> Schema:
    return {
        "type": "object",
        "title": name,
        "properties": {name: rows, "params": PARAMS},
        "required": [name],
        "additionalProperties": False,
    }


def _split(signature: Signature, max_rows: int) -> Schema:
    cells = [_TYPES[column.kind] for column in signature.columns]
    row = {"type": "array", "prefixItems": cells, "items": False, "minItems": len(cells)}
    return {
        "type": "object",
        "properties": {
            "columns": {"const": signature_names(signature), "description": "In any order."},
            "data": {
                "type": "array",
                "items": row,
                "minItems": 1,
                "maxItems": max_rows,
                "description": "Rows of cells, in the order of `columns`.",
            },
            "index": {
                "type": "null",
                "description": "Or a list with an entry for each row, as pandas writes. It changes nothing.",
            },
        },
        "required": ["columns", "data"],
        "additionalProperties": False,
    }


def _object_of_columns(signature: Signature) -> Schema:
    return {
        **record(signature),
        "properties": {
            column.name: {"anyOf": [_TYPES[column.kind], _list_of_one(_TYPES[column.kind])]}
            for column in signature.columns
        },
        "description": "A cell, or a list of cells, for each column. This schema is that of one row; lists of"
        " several cells are read as rows if all are of one length, which a schema can not say.",
    }


def _list_of_one(cell: Schema) -> Schema:
    return {"type": "array", "items": cell, "minItems": 1, "maxItems": 1}


def _described(column: InputColumn) -> Schema:
    said = EXPECTED[column.kind][0].upper() + EXPECTED[column.kind][1:] + "."
    if known := column.categories:
        more = f" and {len(known) - _CATEGORIES} more" if len(known) > _CATEGORIES else ""
        said += (
            f" Known are {', '.join(map(repr, known[:_CATEGORIES]))}{more}; another is as missing as null."
        )
    return {**_TYPES[column.kind], "description": said}


def _escape(found: re.Match[str]) -> str:
    return "\\" + found.group()
