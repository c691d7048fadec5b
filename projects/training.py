"""Training: labelled rows in, a booster out. Pure, and the same bytes for the same rows and seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xgboost as xgb

from projects.errors import UnfitTrainingDataError

if TYPE_CHECKING:
    from collections.abc import Callable

    from projects.declaration import Project
    from projects.labelled import LabelledRows


@dataclass(frozen=True)
class _Progress(xgb.callback.TrainingCallback):  # type: ignore[misc]  # xgboost has no types
    tell: Callable[[int], None]

    def after_iteration(self, model: object, epoch: int, evals_log: object) -> bool:  # noqa: ARG002
        self.tell(epoch + 1)
        return False


def train(project: Project, rows: LabelledRows, progress: Callable[[int], None]) -> xgb.Booster:
    """Train the declared booster. The categories of each column are those seen here, sorted.

    Raises `UnfitTrainingDataError` for what no classifier can be trained on.
    """
    _refuse_unfit(project, rows)
    matrix = xgb.QuantileDMatrix(
        _encoded(project, rows.features),
        label=rows.label,
        enable_categorical=True,
        max_bin=int(project.parameters.get("max_bin", 256)),
    )
    parameters = {"tree_method": "hist", **project.parameters, "objective": project.objective}
    return xgb.train(
        {**parameters, "seed": project.seed},
        matrix,
        num_boost_round=project.rounds,
        callbacks=[_Progress(progress)],
    )


def _encoded(project: Project, features: pa.Table) -> pa.Table:
    columns = {}
    for name, kind in project.features.items():
        column = features[name].combine_chunks()
        if kind == "category":
            # Sorted, so that the codes do not depend on the order of the rows.
            categories = pa.array(sorted(pc.unique(column).drop_null().to_pylist()), pa.string())
            codes = pc.index_in(column, value_set=categories)
            columns[name] = pa.DictionaryArray.from_arrays(codes, categories)
        else:
            columns[name] = column.cast(pa.float32())
    return pa.table(columns)


def _refuse_unfit(project: Project, rows: LabelledRows) -> None:
    classes = np.unique(rows.label)
    if len(classes) < 2:  # noqa: PLR2004  # two classes
        raise UnfitTrainingDataError(
            f"Every one of the {len(rows.label)} rows has the label {classes[0]:g}; a classifier needs"
            " both classes. Choose a longer window"
        )
    for name, kind in project.features.items():
        if kind == "number" and pc.any(pc.is_inf(rows.features[name])).as_py():
            raise UnfitTrainingDataError(f"The column {name!r} holds an infinite number; clean it upstream")
