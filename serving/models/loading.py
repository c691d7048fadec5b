"""From a view to a model that answers: verified before a byte is parsed, tried before anybody asks."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import numpy as np
import orjson

from registry import ArtifactError, Manifest
from registry.example import answer_example, check_example
from registry.formats import read_mlmodel
from registry.scorer import read_artifact
from registry.trees import choose_evaluator
from serving.contract.json_bodies import read_json
from serving.contract.refusals import RequestError
from serving.contract.signature import Signature
from serving.models.served import BoosterModel, Explainer, Version
from serving.models.through_mlflow import Lenient, ThroughMlflow, read_example

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from serving.models.served import ServedModel

_MOST_ROWS = 1_000_000


def load_model(
    folder: Path, version: Version, manifest: str, form: str, *, lenient: bool = False
) -> ServedModel:
    """Return a loaded version that has answered its own example.

    `manifest` is that of its digest, `form` its format. Raises `ArtifactError` where the folder is not
    what was registered, or its predictions are not those that were recorded with it.
    """
    what = f"{version.model} version {version.number}"
    files = Manifest.from_files(json.loads(manifest))
    if files.digest != version.digest:
        raise ArtifactError(f"The manifest of {what} is not the one of its digest {version.digest[:12]}…")
    files.verify(folder, what)
    if form == "pyfunc":
        return ThroughMlflow.load(folder, version)
    model = load_booster(folder, version)
    return Lenient(model, folder) if lenient else model


def load_booster(folder: Path, version: Version) -> BoosterModel:
    """Load a verified artifact of ours, and hold it against the predictions that were recorded with it."""
    what = f"{version.model} version {version.number}"
    columns, booster = read_artifact(folder, what)
    mlmodel = read_mlmodel(folder)
    categories = {c.name: None if c.categories is None else c.categories.to_pylist() for c in columns}
    try:
        signature = Signature.of(json.loads(mlmodel["signature"]["inputs"]), categories)
    except ValueError as error:
        raise ArtifactError(f"{what} cannot be served: {error}") from error
    body = read_example(folder)
    example = _rows_of(body, signature, what)
    evaluator = choose_evaluator(booster, example)
    check_example(folder, what, answer_example(folder, columns, booster))
    return BoosterModel(version, signature, evaluator, Explainer(booster), body)


def _rows_of(body: bytes | None, signature: Signature, what: str) -> npt.NDArray[np.float32]:
    if body is None:
        return np.full((1, len(signature.columns)), math.nan, np.float32)
    try:
        # MLflow writes a missing number as NaN, which is not JSON; orjson writes NaN as null.
        return read_json(orjson.dumps(json.loads(body)), signature, _MOST_ROWS).matrix
    except (RequestError, ValueError) as refusal:
        raise ArtifactError(f"{what} cannot read its own example: {refusal}") from refusal
