"""The input example of an artifact, and what its booster answered to it when it was logged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from registry.errors import ArtifactError
from registry.formats import read_mlmodel
from registry.scorer import encode

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from registry.scorer import Column

# Below `metadata` in MLmodel: a number for each row of the example (a list, where there are several classes),
# the float32 written as a double.
RECORDED = "example_predictions"


def read_example(folder: Path, columns: tuple[Column, ...]) -> pa.Table | None:
    """Read the raw rows of the example; None where the artifact has none. Raises `ArtifactError`."""
    path = folder / "input_example.json"
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_bytes())
        position = {name: at for at, name in enumerate(content["columns"])}
        return pa.table(
            {c.name: _values(c, [row[position[c.name]] for row in content["data"]]) for c in columns}
        )
    except (ValueError, KeyError, IndexError, TypeError, pa.ArrowException) as error:
        raise ArtifactError(
            f"{path.name} does not hold rows of the columns {[c.name for c in columns]}:"
            f" {type(error).__name__}, {error!s:.200}"
        ) from error


def answer_example(folder: Path, columns: tuple[Column, ...], booster: Any) -> npt.NDArray[np.float32] | None:
    """Return what a booster answers to the example, None where there is none.

    A float32 for each row; of shape (rows, classes) where there are several.
    """
    example = read_example(folder, columns)
    return None if example is None else booster.inplace_predict(encode(example, columns))


def check_example(folder: Path, what: str, answered: npt.NDArray[np.float32] | None) -> None:
    """Raise `ArtifactError` unless these are, bit for bit, the answers that were recorded, if any were."""
    recorded = (read_mlmodel(folder).get("metadata") or {}).get(RECORDED)
    if recorded is None:
        return
    expected = np.asarray(recorded, dtype=np.float32)
    if answered is None or answered.shape != expected.shape:
        shape = None if answered is None else answered.shape
        raise ArtifactError(
            f"{what} answers its example with the shape {shape}; recorded were answers of the shape"
            f" {expected.shape}"
        )
    differs = answered.view(np.uint32) != expected.view(np.uint32)
    wrong = np.flatnonzero(differs.reshape(len(differs), -1).any(axis=1))
    if len(wrong):
        row = int(wrong[0])
        raise ArtifactError(
            f"{what} does not answer its example as it did when it was logged: row {row} gives"
            f" {answered[row]!s}, expected {expected[row]!s}. Compare the XGBoost that logged it"
            " (requirements.txt) with the one that runs here"
        )


def _values(column: Column, values: list[Any]) -> pa.Array:
    if column.categories is not None:
        # MLflow writes what is missing as null or as NaN, as pandas has it.
        return pa.array([None if value != value else value for value in values], pa.string())  # noqa: PLR0124
    return pa.array([None if value is None else float(value) for value in values], pa.float64())
