"""Labelled rows of January 2013, straight from the source: what training takes, without S3."""

import hashlib
from dataclasses import replace
from functools import cache

import numpy as np
import pyarrow as pa

from projects.declaration import Project, read_project
from projects.flight_delay import dataset
from projects.labelled import LabelledRows
from projects.training import train
from storage import Snapshot


@cache
def january() -> LabelledRows:
    """27,004 flights were scheduled in January; those with a known arrival are here."""
    flights = dataset.read_source("flights.csv.zip").query("month == 1")
    features = dataset.build_features(flights.reset_index(drop=True), dataset.read_source("weather.csv"))
    label = np.asarray(dataset.label(dataset.build_outcomes(flights)), np.float64)
    known = ~np.isnan(label)
    columns = list(project().features)
    table = pa.Table.from_pandas(features.loc[known, columns], preserve_index=False)
    nothing = Snapshot("", ())
    return LabelledRows(table.replace_schema_metadata(None), label[known], nothing, nothing)


def project(**changed: object) -> Project:
    """The real project, with fewer rounds."""
    found = replace(read_project("flight_delay"), rounds=15)
    parameters = {**found.parameters, **{k: v for k, v in changed.items() if k == "nthread"}}
    others = {k: v for k, v in changed.items() if k != "nthread"}
    return replace(found, parameters=parameters, **others)  # type: ignore[arg-type]


def digest_of_training() -> str:
    """SHA-256 of the booster's bytes; asked for in a process of its own too."""
    booster = train(project(), january(), lambda _: None)
    return hashlib.sha256(booster.save_raw("ubj")).hexdigest()
