"""Boosters that somebody else trained: what can become a version, and what cannot, in a sentence."""

from __future__ import annotations

import datetime as dt

import january
import numpy as np
import pandas as pd
import pytest
import xgboost as xgb

from projects.declaration import read_project
from projects.errors import ProjectError
from projects.notebook import features_of, register_booster
from projects.parts import Window
from projects.runs import Workplace


def test_columns_and_kinds_are_those_it_was_trained_on() -> None:
    booster, example = january.notebook()
    assert features_of(booster, example) == january.project().features


def test_columns_that_the_project_does_not_have_are_refused() -> None:
    booster, example = january.notebook()
    nowhere = Workplace(None, None, {}, lambda *_: None)  # type: ignore[arg-type]  # refused before it is used
    day = Window(dt.date(2013, 1, 1), dt.date(2013, 1, 1))
    with pytest.raises(ProjectError) as refusal:
        register_booster(booster, read_project("diamond_price"), example, day, nowhere)
    assert str(refusal.value) == (
        "The column 'carrier' is a category to the booster; the project diamond_price has no such feature"
    )


def trained_on(matrix: xgb.DMatrix) -> xgb.Booster:
    return xgb.train({"objective": "binary:logistic", "max_depth": 2}, matrix, 2)


def test_without_names_it_is_no_model_of_raw_columns() -> None:
    rng = np.random.default_rng(0)
    booster = trained_on(xgb.DMatrix(rng.normal(size=(50, 2)), label=rng.random(50) < 0.5))
    with pytest.raises(ProjectError, match="does not know the names of its columns"):
        features_of(booster, pd.DataFrame({"a": [1.0], "b": [2.0]}))


def test_an_example_without_a_column_is_refused() -> None:
    booster, example = january.notebook()
    with pytest.raises(ProjectError, match="The example has no column 'carrier'; the booster was trained on"):
        features_of(booster, example.drop(columns="carrier"))


def test_categories_that_are_only_codes_are_refused() -> None:
    rng = np.random.default_rng(0)
    codes = pd.DataFrame({"carrier": rng.integers(0, 3, 50).astype(float)})
    matrix = xgb.DMatrix(codes, label=rng.random(50) < 0.5, feature_types=["c"], enable_categorical=True)
    with pytest.raises(ProjectError, match="keeps no words for the categories of 'carrier'; train it on"):
        features_of(trained_on(matrix), pd.DataFrame({"carrier": ["UA"]}))
