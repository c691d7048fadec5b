"""A model that exists: a booster trained in a notebook becomes a version like any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mlflow

import registry
from projects.artifact import log_model
from projects.errors import ProjectError
from projects.rows.labelled import find_or_write
from projects.runs import log_fit, rows_of, run

if TYPE_CHECKING:
    import pandas as pd
    import xgboost as xgb

    from projects.declaration import FeatureKind, Project
    from projects.parts import Part
    from projects.runs import Workplace
    from registry import ModelVersion

# How XGBoost names what it was given: quantities in three widths, truth values, categories.
_KINDS: dict[str, FeatureKind] = {"float": "number", "int": "number", "q": "number", "i": "number"}
_CATEGORY = "c"


def register_booster(
    booster: xgb.Booster, project: Project, example: pd.DataFrame, trained_on: Part, at: Workplace
) -> ModelVersion:
    """Log a booster, as a run of its own, and register it as a version of a project's model.

    `example` has a few rows of its raw columns; on `trained_on` it is never judged. Raises `ProjectError`
    where the columns are not known or not the project's, or categories are codes whose words are lost.
    """
    features = features_of(booster, example)
    for name, kind in features.items():
        if project.features.get(name) != kind:
            raise ProjectError(
                f"The column {name!r} is a {kind} to the booster; the project {project.name} has"
                f" {project.features.get(name, 'no such feature')}"
            )
    with run(project, f"bring a booster trained on {trained_on}", at) as run_id:
        mlflow.log_param("window", str(trained_on))
        uri = log_model(booster, features, example, run_id)
        version = registry.register(at.registry, project.model, uri, run_id)
        labelled = find_or_write(project, trained_on, at.store, at.environment)
        log_fit(project, version, rows_of(project, labelled), at)
        mlflow.set_tags({"greenroom.version": version.version, "greenroom.digest": version.digest})
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
