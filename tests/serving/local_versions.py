"""Versions that lie in the cache of an endpoint without any registry: for endpoints that run `--offline`."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import xgboost as xgb
from mlflow.models import Model

from projects.artifact import save_model
from registry import Manifest
from serving.following.view import View, view_path, write_view
from serving.models.loading import load_model
from serving.models.served import Version

if TYPE_CHECKING:
    from typing import Any

    from projects.declaration import FeatureKind
    from serving.models.served import ServedModel

NOWHERE = "http://127.0.0.1:1"
# Names and texts that are markup, regular expressions and CSV syntax.
ODD_TEXT, ODD_NUMBER = "\"/>&'script>", 'a, "b"|^$.*'
ODD_CATEGORIES = ["it's", "<b>x</b>", "日本"]


def booster(columns: dict[str, list[str] | None], seed: int = 0) -> Any:
    """Train two rounds on columns of texts (their categories) and numbers (None)."""
    rng = np.random.default_rng(seed)
    table = {}
    for name, categories in columns.items():
        if categories is None:
            table[name] = pa.array(rng.uniform(0, 3000, 300).astype(np.float32))
        else:
            codes = pa.array(rng.integers(0, len(categories), 300).astype(np.int32))
            table[name] = pa.DictionaryArray.from_arrays(codes, pa.array(categories))
    label = (rng.random(300) < 0.3).astype(float)
    matrix = xgb.QuantileDMatrix(pa.table(table), label=label, enable_categorical=True)
    return xgb.train({"objective": "binary:logistic", "max_depth": 2}, matrix, 2)


def write_artifact(
    folder: Path, columns: dict[str, list[str] | None], example: pd.DataFrame, seed: int = 0
) -> Path:
    """Write an artifact of ours to a folder."""
    features: dict[str, FeatureKind] = {n: "category" if c else "number" for n, c in columns.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own, on newer pandas
        save_model(str(folder), Model(), booster(columns, seed), features, example)
    return folder


def write_tiny(folder: Path, seed: int = 0) -> Path:
    """Write an artifact with a text and a number; its example has a missing number."""
    example = pd.DataFrame({"carrier": ["AA", "ZZ"], "distance": [1.0, None]})
    return write_artifact(folder, {"carrier": ["AA", "B6", "UA"], "distance": None}, example, seed)


def write_odd(folder: Path) -> Path:
    """Write an artifact whose names and texts are syntax of whatever describes them."""
    example = pd.DataFrame({ODD_TEXT: ODD_CATEGORIES, ODD_NUMBER: [0.5, None, 2.0]})
    return write_artifact(folder, {ODD_TEXT: ODD_CATEGORIES, ODD_NUMBER: None}, example)


def publish(
    cache: Path, model: str, version: int, folder: Path, form: Literal["xgboost", "pyfunc"] = "xgboost"
) -> dict[str, str]:
    """Put the view of a version into a cache; return the environment of an endpoint that serves it."""
    manifest = Manifest.of(folder)
    view = View(
        model=model,
        version=version,
        digest=manifest.digest,
        manifest=manifest.to_json(),
        folder=str(folder),
        format=form,
        stage="Production",
        seen_at=time.time(),
        reachable=True,
        problem=None,
        refused=None,
    )
    write_view(view_path(cache, NOWHERE, model), view)
    return {"GREENROOM_CACHE_DIR": str(cache), "MLFLOW_TRACKING_URI": NOWHERE}


def loaded(folder: Path, model: str = "tiny", version: int = 1, form: str = "xgboost") -> ServedModel:
    """Load a folder as a version, as a worker does."""
    manifest = Manifest.of(folder)
    return load_model(folder, Version(model, version, manifest.digest), manifest.to_json(), form)
