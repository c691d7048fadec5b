"""MLflow's own scoring code on a verified folder: for models of any other kind, and as lenient as it is.

Imports MLflow and pandas, seconds and a hundred megabytes a worker, where and only where it is needed.
"""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson

from registry import ArtifactError
from serving.contract.refusals import RequestError
from serving.contract.requests import media_type
from serving.models.served import Answer, Description

if TYPE_CHECKING:
    from pathlib import Path

    from serving.contract.asked import Asked
    from serving.contract.limits import Limits
    from serving.models.served import BoosterModel, Version


_EXAMPLE = "serving_input_example.json"
# MLflow writes what JSON has no word for. Beyond float32 is infinite, too.
_CONSTANTS = {"NaN": None, "Infinity": sys.float_info.max, "-Infinity": -sys.float_info.max}


def read_example(folder: Path) -> bytes | None:
    """Return the body that was logged with an artifact as an example, as JSON; None where there is none."""
    try:
        written = (folder / _EXAMPLE).read_bytes()
        return orjson.dumps(json.loads(written, parse_constant=_CONSTANTS.__getitem__))
    except (FileNotFoundError, ValueError, orjson.JSONEncodeError):
        return None  # or none that can be sent


@dataclass(frozen=True)
class Body:
    """A body that MLflow is to read."""

    content_type: str
    body: bytes


@dataclass(frozen=True)
class ThroughMlflow:
    """A version that is loaded and asked as `mlflow models serve` does it, running its code."""

    version: Version
    model: Any
    example: bytes | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def description(self) -> Description:
        """What its clients are told."""
        schema = self.model.metadata.get_input_schema()
        return Description(None, self.example, schema.to_dict() if schema is not None else ())

    @classmethod
    def load(cls, folder: Path, version: Version) -> ThroughMlflow:
        """Load a verified artifact. Raises `ArtifactError` for whatever its code raises."""
        import mlflow.pyfunc

        # Byte code beside the code would be a file that was not registered.
        sys.dont_write_bytecode = True
        try:
            model = mlflow.pyfunc.load_model(str(folder))
        except Exception as error:  # its code is not ours, and may raise anything
            raise ArtifactError(
                f"{version.model} version {version.number} cannot be loaded: {type(error).__name__}"
            ) from error
        return cls(version, model, read_example(folder))

    def read(self, content_type: str, body: bytes, limits: Limits) -> Body:  # noqa: ARG002  # MLflow knows none
        """Keep the body for MLflow to read. Raises `RequestError` for a media type that it would not."""
        media_type(content_type)
        return Body(content_type, body)

    def is_quick(self, asked: Body) -> bool:  # noqa: ARG002  # no request of any kind is
        """Whether nobody would notice: nobody knows what such a model does."""
        return False

    def answer(self, asked: Body) -> Answer:
        """Read and predict by MLflow. Raises `RequestError`, which repeats nothing that MLflow says.

        What the code of the model raises, it raises, too: that is no fault of the request.
        """
        from mlflow.exceptions import MlflowException
        from mlflow.pyfunc import scoring_server

        schema = self.model.metadata.get_input_schema()
        watched = _Watched(self.model)
        try:
            with self.lock:  # who knows whether its code bears two threads
                found = scoring_server.invocations(asked.body, asked.content_type, watched, schema)
        except MlflowException as error:
            if watched.raised is not None:
                raise watched.raised from None
            raise RequestError(
                f"MLflow does not take this request for the model ({error.error_code}); the columns it"
                " takes are under /docs"
            ) from error
        except (TypeError, ValueError, RecursionError, AttributeError) as error:
            # Of MLflow's own reading, which is not guarded against every body.
            raise RequestError("MLflow cannot read this request") from error
        if found.status != HTTPStatus.OK:
            raise RequestError("MLflow does not read this Content-Type", status=found.status)
        said = json.loads(found.response)
        predictions = said.get("predictions") if isinstance(said, dict) else None
        rows = len(predictions) if isinstance(predictions, list) else 1
        return Answer(orjson.dumps(said), rows, predictions)  # which has null for NaN, as JSON has to


class _Watched:
    """A model for one request, which keeps what it raised: MLflow blames the request for it."""

    def __init__(self, model: Any) -> None:
        self._model, self.metadata = model, model.metadata
        self.raised: Exception | None = None

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        from mlflow.exceptions import MlflowException

        try:
            return self._model.predict(data, params=params)
        except MlflowException:
            raise  # which is how MLflow says that columns or parameters are not those of the signature
        except Exception as error:
            self.raised = error
            raise


class Lenient:
    """A version of ours that leaves to MLflow what the contract refuses, as `--compat mlflow` asks."""

    def __init__(self, model: BoosterModel, folder: Path) -> None:
        self.model, self.version = model, model.version
        self._mlflow = ThroughMlflow.load(folder, model.version)

    @property
    def description(self) -> Description:
        """What its clients are told: the contract, which is read best and quickest."""
        return self.model.description

    def read(self, content_type: str, body: bytes, limits: Limits) -> Asked | Body:
        """Read the rows of a request, or keep its body where only MLflow would read it."""
        try:
            return self.model.read(content_type, body, limits)
        except RequestError as refusal:
            if refusal.status != HTTPStatus.BAD_REQUEST:
                raise
            return self._mlflow.read(content_type, body, limits)

    def is_quick(self, asked: Asked | Body) -> bool:
        """Whether the contract could read it, and rows are few."""
        return not isinstance(asked, Body) and self.model.is_quick(asked)

    def answer(self, asked: Asked | Body) -> Answer:
        """Predict what was read, by MLflow where the contract refused it."""
        return self._mlflow.answer(asked) if isinstance(asked, Body) else self.model.answer(asked)
