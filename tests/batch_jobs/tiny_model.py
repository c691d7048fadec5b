"""A small booster and its scorer, without a registry: two numbers and a category."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import xgboost as xgb

from registry import ModelVersion, Scorer, Stage
from registry.scorer import Column

CATEGORIES = ["AA", "B6", "UA"]


def scorer() -> Scorer:
    rng = np.random.default_rng(7)
    codes = rng.integers(0, len(CATEGORIES), 400).astype(np.int32)
    table = pa.table(
        {
            "carrier": pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(CATEGORIES)),
            "distance": rng.uniform(100, 3000, 400).astype(np.float32),
            "temp": rng.uniform(0, 100, 400).astype(np.float32),
        }
    )
    label = (codes + table["distance"].to_numpy() / 1000 + rng.normal(size=400) > 2).astype(float)
    matrix = xgb.QuantileDMatrix(table, label=label, enable_categorical=True)
    booster = xgb.train({"objective": "binary:logistic", "max_depth": 3}, matrix, 5)
    version = ModelVersion("tiny", 1, Stage.PRODUCTION, "author", None, "", dt.datetime.now(dt.UTC), None)
    return Scorer(
        version, (Column("carrier", pa.array(CATEGORIES)), Column("distance"), Column("temp")), booster
    )
