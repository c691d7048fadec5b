"""Training: labelled rows in, a booster out. The same bytes for the same rows and seed."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xgboost as xgb

from projects.errors import DeclarationError, ProjectError, UnfitTrainingDataError
from projects.rows.labelling import LABEL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy.typing as npt

    from projects.declaration import Project

    Floats = npt.NDArray[np.float64]
    # Yields the rows from the first one, as often as it is called.
    Rows = Callable[[], Iterator[pa.Table]]

# XGBoost's own default.
_BINS = 256
# What XGBoost warns of, and goes on with its defaults.
_QUOTE = '"'
_UNUSED = re.compile(r"Parameters: \{ (.*) \} are not used")


@dataclass(frozen=True)
class _Progress(xgb.callback.TrainingCallback):  # type: ignore[misc]  # xgboost has no types
    tell: Callable[[int], None]

    def after_iteration(self, model: object, epoch: int, evals_log: object) -> bool:  # noqa: ARG002
        self.tell(epoch + 1)
        return False


class _Batches(xgb.DataIter):  # type: ignore[misc]  # xgboost has no types
    """Hands rows to XGBoost, batch by batch: it goes over them a few times and keeps bins only."""

    def __init__(self, project: Project, rows: Rows, categories: Mapping[str, pa.Array]) -> None:
        super().__init__()
        self.project, self.rows, self.categories = project, rows, categories
        self.batches = rows()

    def next(self, input_data: Callable[..., Any]) -> bool:
        table = next(self.batches, None)
        if table is None:
            return False
        label = table[LABEL].to_numpy()
        input_data(data=_encoded(self.project, table, self.categories), label=label)
        return True

    def reset(self) -> None:
        self.batches = self.rows()


def train(project: Project, rows: Rows, progress: Callable[[int], None]) -> xgb.Booster:
    """Train the declared booster on rows with the columns of the features and `_label`.

    The categories of each column are those seen here, sorted. Raises `UnfitTrainingDataError` for what
    nothing can be learned from.
    """
    matrix = bin_rows(project, rows, project.parameters).matrix
    return boost(project, project.parameters, matrix, project.rounds, callbacks=[_Progress(progress)])


def refuse_unused(project: Project, parameters: Mapping[str, Any]) -> None:
    """Raise `DeclarationError` for parameters that XGBoost would pass over: a slip of the pen.

    Raises `ProjectError` for values that it refuses; either way before any row is read.
    """
    names = list(project.features)
    rows = xgb.DMatrix(np.zeros((2, len(names))), label=np.full(2, 0.5), feature_names=names)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        boost(project, parameters, rows, rounds=1)
    for warning in heard:
        if unused := _UNUSED.search(str(warning.message)):
            raise DeclarationError(
                f"projects/{project.name}/project.yaml: parameters: XGBoost does not use"
                f" {unused[1].replace(_QUOTE, '')} with {project.objective}; correct the name, or take it out"
            )


@dataclass(frozen=True)
class Binned:
    """Rows as XGBoost learns from them, and the categories whose codes they hold."""

    matrix: xgb.QuantileDMatrix
    categories: Mapping[str, pa.Array]


def bin_rows(
    project: Project, rows: Rows, parameters: Mapping[str, Any], like: Binned | None = None
) -> Binned:
    """Bin rows, as long as labels differ; rows to be judged on are binned `like` those learned from."""
    labels, categories = _survey(project, rows)
    refuse_constant(project, labels)
    del labels  # the matrix has its own
    found = like.categories if like else categories
    max_bin = int(parameters.get("max_bin", _BINS))
    matrix = xgb.QuantileDMatrix(
        _Batches(project, rows, found),
        enable_categorical=True,
        max_bin=max_bin,
        ref=like.matrix if like else None,
    )
    return Binned(matrix, found)


def boost(
    project: Project, parameters: Mapping[str, Any], matrix: xgb.DMatrix, rounds: int, **how: Any
) -> xgb.Booster:
    """Boost trees on binned rows; `how` goes to `xgboost.train`.

    Raises `ProjectError` for parameters that XGBoost refuses.
    """
    given = {"tree_method": "hist", **parameters, "objective": project.objective, "seed": project.seed}
    try:
        return xgb.train(given, matrix, num_boost_round=rounds, **how)
    except xgb.core.XGBoostError as error:
        raise ProjectError(
            f"XGBoost refuses the parameters {dict(parameters)}: {_first_words(error)}"
        ) from error


def _first_words(error: Exception) -> str:
    # Below them, where in C++ it was.
    return " ".join(str(error).partition("Stack trace")[0].split())[:300]


def sampled(rows: Rows, share: float, seed: int) -> Rows:
    """Keep a random share of the rows, the same ones for the same seed, each time they are gone over."""
    if share >= 1:
        return rows

    def kept() -> Iterator[pa.Table]:
        rng = np.random.default_rng(seed)
        for table in rows():
            yield table.filter(pa.array(rng.random(len(table)) < share))

    return kept


def refuse_constant(project: Project, labels: Floats) -> None:
    """Raise `UnfitTrainingDataError` unless the labels, (rows,), differ, to learn or to judge by."""
    count = len(labels)
    if not count:
        raise UnfitTrainingDataError("No row is left of the sample. Choose a longer window or a larger share")
    least, most = labels.min(), labels.max()
    if least == most:
        needs = (
            "a classifier needs both classes" if project.task == "classification" else "labels must differ"
        )
        raise UnfitTrainingDataError(
            f"Every one of the {count} rows has the label {least:g}; {needs}. Choose a longer window"
        )
    if project.task == "classification" and (least, most) != (0, 1):
        raise UnfitTrainingDataError(
            f"The labels go from {least:g} to {most:g}; {project.objective} expects 0 and 1"
        )


def _survey(project: Project, rows: Rows) -> tuple[Floats, dict[str, pa.Array]]:
    """Go over the rows once; return their labels, and the categories of each column."""
    labels: list[Floats] = []
    found: dict[str, set[str]] = {
        name: set() for name, kind in project.features.items() if kind == "category"
    }
    for table in rows():
        labels.append(table[LABEL].to_numpy())
        for name, words in found.items():
            words.update(pc.unique(table[name]).drop_null().to_pylist())
    # Sorted, so that the codes do not depend on the order of the rows.
    categories = {name: pa.array(sorted(words), pa.string()) for name, words in found.items()}
    return np.concatenate(labels) if labels else np.empty(0), categories


def _encoded(project: Project, table: pa.Table, categories: Mapping[str, pa.Array]) -> pa.Table:
    columns = {}
    for name, kind in project.features.items():
        column = table[name].combine_chunks()
        if kind == "category":
            codes = pc.index_in(column, value_set=categories[name])
            columns[name] = pa.DictionaryArray.from_arrays(codes, categories[name])
        else:
            columns[name] = column.cast(pa.float32())
    return pa.table(columns)
