"""The errors of an endpoint, for its descriptions: when which status is answered, in the one schema. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from serving.contract.requests import JSON

if TYPE_CHECKING:
    from serving.settings import Settings

    Json = dict[str, Any]

# Errors that any request can have, and those of a request with rows.
EVERYWHERE = (403, 408, 421, 431)
SCORING = (400, 413, 415, 500, 503, 504)
_UNAUTHENTICATED = 401
_RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "string"}}}


def error_responses(settings: Settings) -> dict[str, Json]:
    """Return the responses, by status; those of 401 only where there is a token."""
    found = {
        str(status): {"description": what, "content": {JSON: {"schema": ref("schemas", "Error")}}}
        for status, what in errors_of(settings)
    }
    found["503"]["headers"] = _RETRY_AFTER
    if settings.token is not None:
        found[str(_UNAUTHENTICATED)]["headers"] = {"WWW-Authenticate": {"schema": {"const": "Bearer"}}}
    return found


def errors_of(settings: Settings) -> list[tuple[int, str]]:
    """Return every status of an error, and when it is answered."""
    found = [
        (400, "The request can not be read; the message says what, where, and what was expected."),
        (_UNAUTHENTICATED, "The token is missing, or another one."),
        (403, "The request comes from a web page of another origin."),
        (404, "There is nothing at this path."),
        (405, "The path takes another method."),
        (408, f"The request was not whole within {settings.read_timeout_s:g} s."),
        (413, f"More than {settings.max_rows:,} rows, or {settings.max_body_bytes:,} bytes."),
        (415, "The Content-Type, or Content-Encoding, is none that is read here."),
        (421, "The Host of the request is not a name of this endpoint."),
        (431, "The head of the request is too large."),
        (500, "The endpoint failed; its log says how, by the id of the request."),
        (503, "Too much waits already, no version is in Production, or the endpoint is about to stop."),
        (504, f"There was no answer within {settings.deadline_s:g} s."),
    ]
    return [error for error in found if settings.token is not None or error[0] != _UNAUTHENTICATED]


def ref(kind: str, name: str) -> Json:
    """Return a reference to a component."""
    return {"$ref": f"#/components/{kind}/{name}"}


_TEXT_OR_NULL = {"type": ["string", "null"]}
ERROR_SCHEMAS: Json = {
    "Error": {
        "type": "object",
        "properties": {
            "error_code": {"type": "string", "description": "A name for the status, as MLflow has them."},
            "message": {"type": "string", "description": "What is wrong, and what was expected."},
            "request_id": {"type": "string"},
            "details": {"type": "array", "items": {"$ref": "#/components/schemas/Fault"}},
        },
        "required": ["error_code", "message", "request_id", "details"],
        "additionalProperties": False,
    },
    "Fault": {
        "type": "object",
        "description": "One thing that is wrong, the first ten of them. Values are never repeated.",
        "properties": {
            "row": {"type": ["integer", "null"], "minimum": 0, "description": "Counted from 0."},
            "column": _TEXT_OR_NULL,
            "found": {"type": "string"},
            "expected": {"type": "string"},
        },
        "required": ["row", "column", "found", "expected"],
        "additionalProperties": False,
    },
}
