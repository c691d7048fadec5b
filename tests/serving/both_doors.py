"""One artifact behind two doors, in one process: ours, and the code of `mlflow models serve`."""

from __future__ import annotations

import json
import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import numpy.typing as npt
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server
from served_house import version_of

from serving.contract.limits import Limits
from serving.contract.refusals import RequestError
from serving.models.loading import load_booster
from serving.models.served import BoosterModel


class _Recording:
    """The booster behind MLflow's door, which keeps the matrix that it was given last."""

    def __init__(self, booster: Any) -> None:
        self._booster = booster
        self.matrix: Any = None

    def inplace_predict(self, matrix: Any) -> Any:
        self.matrix = np.ascontiguousarray(matrix)
        return self._booster.inplace_predict(matrix)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._booster, name)


@dataclass
class Doors:
    """What each says to a request: predictions, or None where it refuses."""

    ours: BoosterModel
    mlflow: Any
    seen: _Recording

    @classmethod
    def open(cls, folder: Path) -> Doors:
        loaded = mlflow.pyfunc.load_model(str(folder))
        seen = _Recording(loaded._model_impl.booster)
        loaded._model_impl.booster = seen
        return cls(load_booster(folder, version_of(folder)), loaded, seen)

    def ask_ours(self, body: bytes, content_type: str) -> tuple[npt.NDArray[np.float32], list[Any]] | None:
        """Return the matrix and the predictions, None for a refusal. Whatever else is raised is a failure."""
        with np.errstate(over="ignore", invalid="ignore"):  # as a worker sets it
            try:
                asked = self.ours.read(content_type, body, Limits())
                answer = self.ours.answer(asked)
            except RequestError:
                return None
        return asked.matrix, json.loads(answer.body)["predictions"]

    def ask_mlflow(self, body: bytes, content_type: str) -> tuple[npt.NDArray[np.float32], list[Any]] | None:
        """The same through MLflow; what it raises beside its own exception is an HTTP 500 of its server."""
        schema = self.mlflow.metadata.get_input_schema()
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                found = scoring_server.invocations(body, content_type, self.mlflow, schema)
            except (MlflowException, ValueError, TypeError, AttributeError, RecursionError, OverflowError):
                return None
        if found.status != 200:
            return None
        return self.seen.matrix, json.loads(found.response)["predictions"]

    def compare(self, body: bytes, content_type: str = "application/json") -> bool:
        """Hold both against each other where both answer; return whether they did."""
        ours, theirs = self.ask_ours(body, content_type), self.ask_mlflow(body, content_type)
        if ours is None or theirs is None:
            return False
        assert ours[0].shape == theirs[0].shape, body
        np.testing.assert_array_equal(ours[0], theirs[0], err_msg=repr(body))
        # Doubles written by two JSON writers, read again: the same numbers, so the same float32.
        assert _finite(ours[1]) == _finite(theirs[1]), body
        return True


def _finite(values: Any) -> Any:
    if isinstance(values, list):
        return [_finite(value) for value in values]
    return None if values is None or math.isnan(values) else float(values).hex()
