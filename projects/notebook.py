"""A model that exists: a booster trained in a notebook becomes a version like any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import registry
from projects.artifact import log_model
from projects.errors import ProjectError

if TYPE_CHECKING:
    import pandas as pd
    import xgboost as xgb

    from projects.declaration import FeatureKind
    from projects.runs import Workplace
    from registry import ModelVersion

# How XGBoost names what it was given: quantities in three widths, truth values, categories.
_KINDS: dict[str, FeatureKind] = {"float": "number", "int": "number", "q": "number", "i": "number"}
_CATEGORY = "c"


def register_booster(booster: xgb.Booster, model: str, example: pd.DataFrame, at: Workplace) -> ModelVersion:
    """Log a booster, as a run of its own, and register it; `example` has a few rows of its raw columns.

    Raises `ProjectError` where the columns are not known, or categories are codes whose words are lost.
    """
    features = features_of(booster, example)
    client = at.registry.client
    found = client.get_experiment_by_name(model)
    experiment = found.experiment_id if found else client.create_experiment(model)
    run_id = str(client.create_run(experiment, run_name=f"bring {model}").info.run_id)
    try:
        uri = log_model(booster, features, example, run_id)
        version = registry.register(at.registry, model, uri, run_id)
    except BaseException:
        client.set_terminated(run_id, "FAILED")
        raise
    client.set_tag(run_id, "greenroom.version", str(version.version))
    client.set_terminated(run_id)
    return version


def features_of(booster: xgb.Booster, example: pd.DataFrame) -> dict[str, FeatureKind]:
    """Return the raw columns of a booster and their kinds. Raises as `register_booster` does."""
    names, types = booster.feature_names, booster.feature_types
    if not names or not types:
        raise ProjectError(
            "The booster does not know the names of its columns; expected one that was trained on a pandas or"
            " Arrow table"
        )
    if missing := [name for name in names if name not in example.columns]:
        raise ProjectError(f"The example has no column {missing[0]!r}; the booster was trained on {names}")
    words = dict(booster.get_categories(export_to_arrow=True).to_arrow() or [])
    features: dict[str, FeatureKind] = {}
    for name, kind in zip(names, types, strict=True):
        if kind == _CATEGORY and words.get(name) is None:
            raise ProjectError(
                f"The booster keeps no words for the categories of {name!r}; train it on a column of pandas'"
                " or Arrow's own category type, with XGBoost 3.1 or newer"
            )
        if kind != _CATEGORY and kind not in _KINDS:
            raise ProjectError(
                f"The column {name!r} is {kind!r} to the booster; expected a number or a category"
            )
        features[name] = "category" if kind == _CATEGORY else _KINDS[kind]
    return features
