"""An OpenAPI 3.1 document of what an endpoint serves now: one POST for each model, and the pages. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from serving.contract.requests import CSV, JSON, PARQUET
from serving.http import schemas
from serving.http.openapi_errors import ERROR_SCHEMAS, EVERYWHERE, SCORING, error_responses, ref
from serving.http.openapi_feedback import feedback_operation, outcomes_schema
from serving.http.openapi_pages import READINESS_SCHEMA, page_paths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serving.http.sheets import Sheet
    from serving.settings import Settings

    Json = dict[str, Any]

_HEADERS = (
    ("X-Request-ID", "The id of the request."),
    ("X-Model-Name", "The model that answered."),
    ("X-Model-Version", "The version that answered."),
    ("X-Model-Arm", "The arm that answered, where the model has routes."),
    ("X-Prediction-ID", "The id to send feedback by, where the model has routes."),
)


def write_openapi(sheets: Sequence[Sheet], settings: Settings) -> Json:
    """Return the document."""
    paths: Json = {"/invocations": _invocations(sheets[0], settings, "invocations")}
    for sheet in sheets:
        operation = _invocations(sheet, settings, f"invocations_{sheet.model}")
        paths[f"/models/{sheet.model}/invocations"] = operation
        paths[f"/models/{sheet.model}/feedback"] = feedback_operation(
            settings, f"feedback_{sheet.model}", sheet.model
        )
    paths["/feedback"] = feedback_operation(settings, "feedback", sheets[0].model)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Predictions of {', '.join(sheet.model for sheet in sheets)}",
            "version": ", ".join(str(sheet.version or "none") for sheet in sheets),
            "description": "The contract of `mlflow models serve`, strictly. What is served, and with it this"
            " document, changes when another version comes into Production. A body may be sent with"
            " `Content-Encoding: gzip`. People read `/docs`.",
        },
        "servers": [{"url": "/"}],
        "paths": paths | page_paths(secured=settings.token is not None),
        "components": {
            "schemas": ERROR_SCHEMAS
            | {"Readiness": READINESS_SCHEMA, "Outcomes": outcomes_schema(settings.max_rows)}
            | _models(sheets, settings.max_rows),
            "responses": error_responses(settings),
            **(
                {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}} if settings.token else {}
            ),
        },
        **({"security": [{"token": []}]} if settings.token else {}),
    }


def _models(sheets: Sequence[Sheet], max_rows: int) -> Json:
    found: Json = {}
    for sheet in sheets:
        if sheet.signature is not None:
            row = {"$ref": f"#/components/schemas/{sheet.model}.row"}
            found[f"{sheet.model}.row"] = schemas.record(sheet.signature)
            found[f"{sheet.model}.body"] = schemas.forms(sheet.signature, row, max_rows)
    return found


def _invocations(sheet: Sheet, settings: Settings, operation: str) -> Json:
    which = f"version {sheet.version}" if sheet.version else "no version at the moment"
    statuses = (*SCORING, *EVERYWHERE, *((401,) if settings.token else ()))
    return {
        "post": {
            "operationId": operation,
            "summary": f"Predict rows by {sheet.model}, {which}",
            "description": f"At most {settings.max_rows:,} rows and {settings.max_body_bytes:,} bytes, also"
            f" when unzipped; an answer within {settings.deadline_s:g} s, or 504. {settings.max_waiting}"
            " requests may wait for a worker, the next is answered 503 at once.",
            "parameters": [
                {
                    "name": "X-Request-ID",
                    "in": "header",
                    "description": "The id of the request, in the answer and in logs: up to 64 letters,"
                    " digits and ._- ; anything else is replaced by one of ours.",
                    "schema": {"type": "string"},
                }
            ],
            "requestBody": {"required": True, "content": _bodies(sheet)},
            "responses": {"200": _predictions(sheet)} | {str(s): ref("responses", str(s)) for s in statuses},
        }
    }


def _bodies(sheet: Sheet) -> Json:
    binary = {"type": "string", "contentMediaType": PARQUET}
    if sheet.signature is None:
        said: Json = {"schema": schemas.ANY_FORM}
        text: Json = {"type": "string"}
    else:
        said = {"schema": ref("schemas", f"{sheet.model}.body")}
        text = {
            "type": "string",
            "pattern": schemas.csv_pattern(sheet.signature),
            "description": "A line of names, in any order, then rows. An empty cell is missing, as are those"
            " that pandas takes for it: NA, null, nan, …",
        }
    if sheet.body is not None:
        said["example"] = sheet.body
    return {JSON: said, CSV: {"schema": text}, PARQUET: {"schema": binary}}


def _predictions(sheet: Sheet) -> Json:
    said: Json = {"schema": {"type": "object"}}
    if sheet.signature is not None:
        names = schemas.signature_names(sheet.signature)
        said = {"schema": _answer_schema(names)}
    if sheet.answer is not None:
        said["example"] = sheet.answer
    return {
        "description": "One prediction for each row, in the order of the rows.",
        "headers": {name: {"description": what, "schema": {"type": "string"}} for name, what in _HEADERS},
        "content": {JSON: said},
    }


def _answer_schema(names: list[str]) -> Json:
    number = {"type": ["number", "null"]}
    for_each_class = {"anyOf": [number, {"type": "array", "items": number}]}
    explanation = {
        "type": "object",
        "properties": {
            "base": for_each_class,
            "contributions": {
                "type": "object",
                "properties": dict.fromkeys(names, for_each_class),
                "required": names,
                "additionalProperties": False,
            },
        },
        "required": ["base", "contributions"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {
            "predictions": {"type": "array", "items": for_each_class, "minItems": 1},
            "explanations": {"type": "array", "items": explanation, "minItems": 1},
        },
        "required": ["predictions"],
        "additionalProperties": False,
    }
