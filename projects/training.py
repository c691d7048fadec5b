"""Training: labelled rows in, a booster out. Pure, and the same bytes for the same rows and seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import xgboost as xgb

from projects.errors import UnfitTrainingDataError
from projects.labelled import refuse_one_class

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
    refuse_one_class(rows)
    for name, kind in project.features.items():
        # As the booster sees it: 1e300 is infinite in float32.
        if kind == "number" and pc.any(pc.is_inf(rows.features[name].cast(pa.float32()))).as_py():
            raise UnfitTrainingDataError(
                f"The column {name!r} holds a number that is infinite as float32; clean it upstream"
            )
