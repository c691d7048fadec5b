"""What the pages of an endpoint answer, for its OpenAPI document: alive, ready, metrics. Pure."""

from __future__ import annotations

from typing import Any

from serving.contract.requests import JSON
from serving.http.openapi_errors import EVERYWHERE, ref

Json = dict[str, Any]

_HTML, _TEXT, _OPENMETRICS = "text/html", "text/plain", "application/openmetrics-text"


def page_paths(*, secured: bool) -> Json:
    """Return the paths of the pages; `secured` where a token is wanted, which probes need not have."""
    alive = {"description": "It is alive. The body is an empty line.", "content": {JSON: {}}}
    refs = {str(status): ref("responses", str(status)) for status in EVERYWHERE}
    closed = refs | ({"401": ref("responses", "401")} if secured else {})
    ready = {"content": {JSON: {"schema": ref("schemas", "Readiness")}}}
    version = {"description": "The version of MLflow whose contract it is.", "content": {JSON: {}}}
    metrics = {"schema": {"type": "string"}}
    answers: dict[str, tuple[str, Json]] = {
        "/ping": ("Whether the process is alive", {"200": alive}),
        "/health": ("As /ping", {"200": alive}),
        "/version": ("The version of MLflow", {"200": version}),
        "/ready": (
            "Whether every model has a version that answers",
            {
                "200": {"description": "It is ready.", **ready},
                "503": {"description": "It is not ready, or about to stop.", **ready},
            },
        ),
    }
    closed_answers: dict[str, tuple[str, Json]] = {
        "/metrics": (
            "Metrics of all workers, for Prometheus",
            {"200": {"description": "Metrics.", "content": {_TEXT: metrics, _OPENMETRICS: metrics}}},
        ),
        "/docs": (
            "A page about this endpoint, for people",
            {"200": {"description": "A page.", "content": {_HTML: {"schema": {"type": "string"}}}}},
        ),
        "/openapi.json": (
            "This document",
            {"200": {"description": "OpenAPI 3.1.", "content": {JSON: {"schema": {"type": "object"}}}}},
        ),
    }
    pages: Json = {}
    for path, (summary, said) in answers.items():
        pages[path] = {"get": {"summary": summary, "responses": said | refs, "security": []}}
    for path, (summary, said) in closed_answers.items():
        pages[path] = {"get": {"summary": summary, "responses": said | closed}}
    return pages


_TEXT_OR_NULL = {"type": ["string", "null"]}
READINESS_SCHEMA: Json = {
    "type": "object",
    "properties": {
        "ready": {"type": "boolean"},
        "draining": {"type": "boolean"},
        "models": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "model": {"type": "string"},
                    "version": {"type": ["integer", "null"]},
                    "digest": _TEXT_OR_NULL,
                    "why_not": {"type": "string"},
                    "registry": {
                        "type": "object",
                        "properties": {
                            "reachable": {"type": "boolean"},
                            "age_s": {"type": "number"},
                            "version": {"type": ["integer", "null"]},
                            "problem": _TEXT_OR_NULL,
                        },
                    },
                    "refused": {
                        "type": "object",
                        "properties": {
                            "version": {"type": ["integer", "null"]},
                            "why": {"type": "string"},
                        },
                    },
                },
                "required": ["model", "version", "digest"],
            },
        },
    },
    "required": ["ready", "draining", "models"],
}
