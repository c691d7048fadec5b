"""Model versions that cost a second: a booster of two rounds, logged and registered as any other."""

from __future__ import annotations

import datetime as dt
import warnings
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import xgboost as xgb

import registry
from projects.artifact import log_model
from registry import ModelVersion, Registry, Stage, Validation

if TYPE_CHECKING:
    from typing import Any

    from projects.declaration import FeatureKind

FEATURES: dict[str, FeatureKind] = {"carrier": "category", "distance": "number"}
CATEGORIES = ["AA", "B6", "UA"]


def booster(seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    codes = pa.array(rng.integers(0, 3, 300).astype(np.int32))
    table = pa.table(
        {
            "carrier": pa.DictionaryArray.from_arrays(codes, pa.array(CATEGORIES)),
            "distance": rng.uniform(0, 3000, 300).astype(np.float32),
        }
    )
    label = (rng.random(300) < 0.3).astype(float)
    matrix = xgb.QuantileDMatrix(table, label=label, enable_categorical=True)
    return xgb.train({"objective": "binary:logistic", "max_depth": 2}, matrix, 2)


def example() -> pd.DataFrame:
    return pd.DataFrame({"carrier": ["AA", "ZZ"], "distance": [1.0, 2.0]})


def register_tiny(
    at: Registry, name: str, seed: int = 0, features: dict[str, FeatureKind] | None = None
) -> ModelVersion:
    run_id = at.client.create_run("0").info.run_id
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own, on newer pandas
        uri = log_model(booster(seed), features or FEATURES, example(), run_id)
    at.client.set_terminated(run_id)
    return registry.register(at, name, uri, run_id)


def validate_tiny(at: Registry, version: ModelVersion, *, passed: bool = True) -> None:
    reasons = ("auc is 0.71; expected at least 0.62",) if passed else ("auc is 0.5; expected more",)
    metrics = {"auc": 0.71 if passed else 0.5}
    verdict = Validation(passed, version.digest or "", finished_run(at), metrics, reasons)
    registry.record_validation(at, version, verdict)


def finished_run(at: Registry) -> str:
    run_id = str(at.client.create_run("0").info.run_id)
    at.client.set_terminated(run_id)
    return run_id


def unregistered(name: str = "tiny") -> ModelVersion:
    return ModelVersion(name, 1, Stage.NONE, "author", None, "", dt.datetime.now(dt.UTC), None)
