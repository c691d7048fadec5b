"""What `/feedback` takes and answers, for the OpenAPI document. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from serving.contract.outcome_bodies import HIGHEST_ROW, ID_CHARACTERS
from serving.contract.requests import JSON
from serving.http.openapi_errors import EVERYWHERE, SCORING, ref

if TYPE_CHECKING:
    from serving.settings import Settings

    Json = dict[str, Any]

_NOT_RECORDED = 404


def feedback_operation(settings: Settings, operation: str, model: str) -> Json:
    """Return the path of one model's feedback."""
    statuses = (*SCORING, *EVERYWHERE, _NOT_RECORDED, *((401,) if settings.token else ()))
    accepted = {
        "type": "object",
        "properties": {"accepted": {"type": "integer", "minimum": 1}},
        "required": ["accepted"],
        "additionalProperties": False,
    }
    return {
        "post": {
            "operationId": operation,
            "summary": f"Say what came of predictions of {model}",
            "description": "At any time after the answer, and again if nothing was answered: the same outcome"
            " twice counts once. An id that is not known is accepted, and counted when versions are compared."
            " 404 where nothing is recorded of the model.",
            "requestBody": {
                "required": True,
                "content": {JSON: {"schema": ref("schemas", "Outcomes")}},
            },
            "responses": {
                "202": {
                    "description": "They are kept, all of them.",
                    "content": {JSON: {"schema": accepted}},
                }
            }
            | {str(status): ref("responses", str(status)) for status in statuses},
        }
    }


def outcomes_schema(max_rows: int) -> Json:
    """Return the schema of a body."""
    outcome = {
        "type": "object",
        "properties": {
            "prediction_id": {
                "type": "string",
                "minLength": 1,
                "maxLength": ID_CHARACTERS,
                "pattern": r"^[\x21-\x7e]+$",
                "description": "The X-Prediction-ID of the answer.",
            },
            "row": {
                "type": "integer",
                "minimum": 0,
                "maximum": HIGHEST_ROW,
                "default": 0,
                "description": "The place of the row in its request.",
            },
            "outcome": {"type": "number", "description": "What came of it: 0 or 1, an amount, a reward."},
        },
        "required": ["prediction_id", "outcome"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"outcomes": {"type": "array", "items": outcome, "minItems": 1, "maxItems": max_rows}},
        "required": ["outcomes"],
        "additionalProperties": False,
    }
