"""A small booster and its scorer, without a registry: two numbers and a category; and rules for its rows."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import xgboost as xgb

from batch_jobs.partition import Provenance
from batch_jobs.scoring import Rules
from expectations import Inspector, load_suite
from registry import ModelVersion, Scorer, Stage
from registry.scorer import Column

if TYPE_CHECKING:
    from pathlib import Path

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


def suite(*expectations: dict[str, Any]) -> dict[str, Any]:
    """Return a suite as its file holds it."""
    return {"name": "test", "expectations": list(expectations), "meta": {}}


def between(column: str, low: float, high: float) -> dict[str, Any]:
    """Return an expectation on the values of a column."""
    kwargs = {"column": column, "min_value": low, "max_value": high}
    return {"type": "expect_column_values_to_be_between", "kwargs": kwargs, "severity": "critical"}


def rules_of(folder: Path, of_input: list[dict[str, Any]], of_predictions: list[dict[str, Any]]) -> Rules:
    """Write two suites to a folder, and make rules of them for rows whose key is `id`."""
    found = []
    for name, expectations in (("input", of_input), ("predictions", of_predictions)):
        path = folder / f"{name}.json"
        path.write_text(json.dumps(suite(*expectations)))
        found.append(Inspector.of(load_suite(path)))
    return Rules(("id",), *found)


def made() -> Provenance:
    """Return what rows of a test are stamped with."""
    return Provenance(dt.date(2013, 7, 1), "tiny", 3, "run", "snap", "artifact", "suite", "code")
