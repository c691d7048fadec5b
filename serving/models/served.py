"""A version of ours: a booster that answers requests by the contract alone."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from serving.contract.answers import write_predictions
from serving.contract.requests import read_request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from registry.trees import Evaluator
    from serving.contract.asked import Asked
    from serving.contract.limits import Limits
    from serving.contract.signature import Signature

# So many rows are predicted between two other requests; more are predicted beside them, in a thread.
_QUICK_ROWS = 256


@dataclass(frozen=True)
class Version:
    """Which version of which model it is, and the digest of its artifact."""

    model: str
    number: int
    digest: str


@dataclass(frozen=True)
class Answer:
    """The body of an answer, and how many rows it predicts; `predictions` are as the model returned them."""

    body: bytes
    rows: int
    predictions: Any = None

    def recorded(self) -> bytes:
        """Return one float32 for each row, little endian; nothing where a row has several, or another."""
        try:
            found = np.asarray(self.predictions, dtype="<f4")
        except (TypeError, ValueError):
            return b""
        return found.tobytes() if found.shape == (self.rows,) else b""


@dataclass(frozen=True)
class Description:
    """What clients are told of a version: what it takes, and the JSON body that was logged as an example.

    `signature` is None where MLflow reads the requests; then `inputs` are the columns of its signature, each
    with `name`, `type` and `required`, as far as it has any.
    """

    signature: Signature | None
    example: bytes | None
    inputs: Sequence[Mapping[str, Any]] = ()


class ServedModel(Protocol):
    """A loaded version. Reading and answering are apart: what is read says how long an answer will take."""

    @property
    def version(self) -> Version:
        """Which one it is."""

    @property
    def description(self) -> Description:
        """What its clients are told."""

    def read(self, content_type: str, body: bytes, limits: Limits) -> Any:
        """Read the rows of a request. Raises `RequestError`."""

    def is_quick(self, asked: Any) -> bool:
        """Whether `answer` takes so little that nobody notices when all else waits for it."""

    def answer(self, asked: Any) -> Answer:
        """Predict what was read. Raises `RequestError`. Any number of threads may call it at once."""


@dataclass(frozen=True)
class BoosterModel:
    """An XGBoost booster under a signature of plain columns; no code of the artifact is run."""

    version: Version
    signature: Signature
    evaluator: Evaluator
    explainer: Explainer
    example: bytes | None = None

    @property
    def description(self) -> Description:
        """What its clients are told."""
        return Description(self.signature, self.example)

    def read(self, content_type: str, body: bytes, limits: Limits) -> Asked:
        """Read the rows of a request. Raises `RequestError`."""
        return read_request(content_type, body, self.signature, limits)

    def is_quick(self, asked: Asked) -> bool:
        """Whether there are few rows, and nothing to explain."""
        return len(asked.matrix) <= _QUICK_ROWS and not asked.explain

    def answer(self, asked: Asked) -> Answer:
        """Predict the rows, and explain them where that was asked for."""
        predictions = self.evaluator.predict(asked.matrix)
        explanations = self.explainer.explain(asked.matrix, self.signature) if asked.explain else None
        return Answer(write_predictions(predictions, explanations), len(asked.matrix), predictions)


class Explainer:
    """SHAP contributions from the booster itself (Lundberg et al., 2018, "Consistent individualized feature
    attribution for tree ensembles"). With the base they add up to the margin of each row.
    """  # noqa: D205  # the citation does not fit one line

    def __init__(self, booster: Any) -> None:
        self._booster = booster
        # Of its own, because XGBoost lets nothing but `inplace_predict` run beside another call.
        self._copy: Any = None
        self._lock = threading.Lock()

    def explain(self, matrix: npt.NDArray[np.float32], signature: Signature) -> list[dict[str, object]]:
        """Return base and contributions for each row."""
        import xgboost as xgb

        # Infinity is scored, and XGBoost explains finite rows only. The largest float32 goes every way that
        # infinity goes: a split asks whether a value is below a finite one.
        most = np.finfo(np.float32).max
        matrix = np.clip(matrix, -most, most)
        names = [column.name for column in signature.columns]
        with self._lock:
            if self._copy is None:
                self._copy = self._booster.copy()
                self._copy.set_param({"nthread": 1})
            types = self._copy.feature_types
            rows = xgb.DMatrix(
                matrix, feature_names=names, feature_types=types, enable_categorical=True, nthread=1
            )
            found = self._copy.predict(rows, pred_contribs=True).astype(np.float64)
        # Last is the base; for several classes, each has its own, before it.
        parts = np.moveaxis(found, -1, 0).tolist()
        return [
            {
                "base": parts[-1][row],
                "contributions": {name: parts[place][row] for place, name in enumerate(names)},
            }
            for row in range(len(matrix))
        ]
