"""The fast scorer: Arrow columns in, float32 predictions out; no pandas, no code from the artifact."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import yaml

from registry.errors import ArtifactError
from registry.formats import LOADER, LOADER_SHA256

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    import numpy.typing as npt

    from registry.trees import Evaluator
    from registry.versions import ModelVersion

    Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Column:
    """A raw input column of a model. `categories` are the values seen in training, None: a number."""

    name: str
    categories: pa.Array | None = None


class AnyScorer(Protocol):
    """What every loaded version offers, however it was loaded."""

    @property
    def version(self) -> ModelVersion:
        """Which version it is."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """The raw columns it takes."""

    def predict(self, table: pa.Table, wanted: Mask | None = None) -> npt.NDArray[np.float32]:
        """Return one prediction, float32, for each row of raw columns that a mask of shape (rows,) wants."""

    def side_by_side(self) -> AnyScorer:
        """Return it for several threads that predict at once, each on one processor."""


@dataclass(frozen=True)
class Scorer:
    """A loaded model version. Predictions are equal to MLflow's `pyfunc` on it, bit for bit."""

    version: ModelVersion
    columns: tuple[Column, ...]
    booster: Any
    evaluator: Evaluator | None = None

    @classmethod
    def read(cls, folder: Path, version: ModelVersion) -> Scorer:
        """Read a verified artifact. Raises `ArtifactError` where it is not one this scorer knows."""
        return cls(version, *read_artifact(folder, f"{version.name} version {version.version}"))

    def predict(self, table: pa.Table, wanted: Mask | None = None) -> npt.NDArray[np.float32]:
        """Return one prediction, float32, for each row, or for those that a mask of shape (rows,) wants.

        `table` has the model's raw columns, by name and in any order: categories as strings, the
        rest as numbers. A null, NaN, or a category not seen in training is a missing value. An
        infinite number is scored as what it is, as MLflow's doors do.
        """
        matrix = encode(table, self.columns)
        found: npt.NDArray[np.float32] = (
            self.evaluator.predict(matrix)
            if self.evaluator is not None
            else self.booster.inplace_predict(matrix)
        )
        # Unwanted rows are few: to predict them is quicker than to take them out of each column.
        return found if wanted is None else found[wanted]

    def side_by_side(self) -> Scorer:
        """Return a copy whose predictions take one thread; they are the same to the bit."""
        from registry.trees import choose_evaluator

        booster = self.booster.copy()
        return replace(self, booster=booster, evaluator=choose_evaluator(booster, comes_in_batches=True))


def read_artifact(folder: Path, what: str) -> tuple[tuple[Column, ...], Any]:
    """Read the columns and the booster of an artifact; `what` names it in an `ArtifactError`."""
    import xgboost as xgb

    described = folder / "MLmodel"
    mlmodel = yaml.safe_load(described.read_text()) if described.is_file() else {}
    flavor = mlmodel.get("flavors", {}).get("xgboost")
    loader = folder / "code" / LOADER.name
    if flavor is None or not mlmodel.get("signature") or not loader.is_file():
        raise ArtifactError(
            f"{what} is not an artifact that Greenroom logged: expected the flavor xgboost, a signature"
            f" and code/{LOADER.name}. Log it through: mlflow run ."
        )
    if hashlib.sha256(loader.read_bytes()).hexdigest() != LOADER_SHA256:
        raise ArtifactError(
            f"{what} holds a code/{loader.name} that is not the loader of this Greenroom; train"
            " it again with this one, or score it with the one that logged it"
        )
    booster = xgb.Booster()
    try:
        booster.load_model(folder / flavor["data"])
    except xgb.core.XGBoostError as error:
        raise ArtifactError(
            f"{what} was written by XGBoost {flavor.get('xgb_version')} and cannot be read by"
            f" XGBoost {xgb.__version__}, which runs here"
        ) from error
    signature = [column["name"] for column in json.loads(mlmodel["signature"]["inputs"])]
    if booster.feature_names != signature:
        raise ArtifactError(
            f"The signature of {what} does not match its booster: columns {signature}, features"
            f" {booster.feature_names}"
        )
    return columns_of(booster), booster


def columns_of(booster: Any) -> tuple[Column, ...]:
    """Return the raw columns of a booster, in its order."""
    categories = dict(booster.get_categories(export_to_arrow=True).to_arrow())
    return tuple(Column(name, categories[name]) for name in booster.feature_names)


def encode(table: pa.Table, columns: tuple[Column, ...]) -> npt.NDArray[np.float32]:
    """Encode raw columns as the float32 matrix of shape (rows, columns) that the booster takes.

    Each column lies together, as it comes: to lay out rows instead costs more than the booster gains.
    """
    matrix = np.empty((len(columns), len(table)), dtype=np.float32)
    for position, column in enumerate(columns):
        values = table[column.name]
        if column.categories is not None:
            codes = pc.index_in(values.cast(pa.string()), value_set=column.categories)
            values = codes.cast(pa.float64())
        if values.type != pa.float32():
            # By way of float64, as pandas does it: int64 to float32 directly could round otherwise.
            values = values.cast(pa.float64(), safe=False)
        numbers = pc.fill_null(values, np.nan) if values.null_count else values
        with np.errstate(over="ignore"):  # beyond float32 is infinite, through every door
            matrix[position] = numbers.to_numpy()
    return matrix.T
