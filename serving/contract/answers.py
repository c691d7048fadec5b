"""Predictions to the bytes of an answer: MLflow's `{"predictions": …}`.

A float32 is written as the double it is, as MLflow writes it, so that clients read the same number to the
last digit. NaN and infinity, which JSON does not have, are null.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import orjson

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from serving.contract.refusals import RequestError


def write_predictions(
    predictions: npt.NDArray[np.float32], explanations: Sequence[dict[str, object]] | None = None
) -> bytes:
    """Write one prediction for each row, and its explanation where there is one."""
    if explanations is None and predictions.size == 1 and predictions.ndim == 1:
        return b'{"predictions":[%b]}' % orjson.dumps(predictions.item())
    said: dict[str, object] = {"predictions": predictions.astype(np.float64)}
    if explanations is not None:
        said["explanations"] = explanations
    return orjson.dumps(said, option=orjson.OPT_SERIALIZE_NUMPY)


def write_refusal(refusal: RequestError, request_id: str) -> bytes:
    """Write why there are no predictions: `error_code` and `message` as MLflow has them, and details."""
    said = {
        "error_code": refusal.error_code,
        "message": refusal.message,
        "request_id": request_id,
        "details": refusal.details,
    }
    return orjson.dumps(said)
