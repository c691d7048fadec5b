"""Labelled rows of January 2013, straight from the source: what training takes, without S3."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import xgboost as xgb

from projects.declaration import Project, read_project
from projects.flight_delay import dataset
from projects.rows.labelling import LABEL
from projects.training import train

if TYPE_CHECKING:
    from projects.training import Rows


@cache
def january() -> pa.Table:
    """27,004 flights were scheduled in January; those with a known arrival are here, with their label."""
    flights = dataset.read_source("flights.csv.zip").query("month == 1")
    features = dataset.build_features(flights.reset_index(drop=True), dataset.read_source("weather.csv"))
    label = np.asarray(dataset.label(dataset.build_outcomes(flights)), np.float64)
    known = ~np.isnan(label)
    columns = list(project().features)
    table = pa.Table.from_pandas(features.loc[known, columns], preserve_index=False)
    return table.replace_schema_metadata(None).append_column(LABEL, pa.array(label[known]))


def rows_of(table: pa.Table) -> Rows:
    return lambda: iter([table])


def project(**changed: object) -> Project:
    """The real project, with fewer rounds."""
    found = replace(read_project("flight_delay"), rounds=15)
    parameters = {**found.parameters, **{k: v for k, v in changed.items() if k == "nthread"}}
    others = {k: v for k, v in changed.items() if k != "nthread"}
    return replace(found, parameters=parameters, **others)  # type: ignore[arg-type]


def notebook() -> tuple[xgb.Booster, pd.DataFrame]:
    """Train as one does in a notebook; return the booster and a few rows as clients send them."""
    rows = january().to_pandas()
    label = rows.pop(LABEL)
    example = rows.head(5)
    words = [name for name, kind in project().features.items() if kind == "category"]
    rows[words] = rows[words].astype("category")
    matrix = xgb.DMatrix(rows, label=label, enable_categorical=True)
    return xgb.train({"objective": "binary:logistic", "max_depth": 4}, matrix, 20), example


def digest_of_training() -> str:
    """SHA-256 of the booster's bytes; asked for in a process of its own too."""
    booster = train(project(), rows_of(january()), lambda _: None)
    return hashlib.sha256(booster.save_raw("ubj")).hexdigest()
