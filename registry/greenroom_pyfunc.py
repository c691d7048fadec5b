"""Loads a Greenroom artifact for MLflow's `python_function` flavor.

This file lies in every artifact, byte for byte the same, and is the only code in it. It needs the
artifact's own requirements and nothing of Greenroom. It encodes raw columns the way Greenroom's fast
scorer does, so that `mlflow models serve` and a batch job answer with the same bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xgboost as xgb


def _load_pyfunc(path: str) -> Model:
    booster = xgb.Booster()
    booster.load_model(path)
    return Model(booster)


class Model:
    """A booster that takes raw columns: numbers as numbers, categories as the strings they are."""

    def __init__(self, booster: Any) -> None:
        self.booster = booster
        categories = dict(booster.get_categories(export_to_arrow=True).to_arrow())
        self.categories = {
            name: None if values is None else pd.Index(values.to_pylist(), dtype=object)
            for name, values in categories.items()
        }

    def predict(self, data: pd.DataFrame, params: dict[str, Any] | None = None) -> Any:  # noqa: ARG002
        """Return one float32 per row. A null, or a category not seen in training, is missing."""
        matrix = np.empty((len(data), len(self.booster.feature_names)), dtype=np.float32)
        for position, name in enumerate(self.booster.feature_names):
            column, categories = data[name], self.categories[name]
            if categories is None:
                with np.errstate(over="ignore"):  # beyond float32 is infinite, through every door
                    matrix[:, position] = column.to_numpy(dtype=np.float64, na_value=np.nan)
            else:
                codes = categories.get_indexer(column.astype(object))
                matrix[:, position] = np.where(codes < 0, np.nan, codes)
        return self.booster.inplace_predict(matrix)
