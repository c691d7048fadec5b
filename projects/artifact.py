"""The one artifact, and the one place where `log_model` is called.

It holds a booster as UBJ, `MLmodel` with the flavors `xgboost` and `python_function`, a signature with
the raw columns, an input example with the booster's answers to it, pinned requirements, and one file of
code: the loader.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import mlflow.xgboost
import numpy as np
import xgboost as xgb
from mlflow.models import Model, ModelSignature
from mlflow.types.schema import ColSpec, Schema, TensorSpec

from registry import LOADER
from registry.example import RECORDED, answer_example
from registry.scorer import columns_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    import pandas as pd

    from projects.declaration import FeatureKind

# What the loader imports, and what MLflow needs to serve it.
_REQUIREMENTS = ("mlflow", "numpy", "pandas", "pyarrow", "xgboost-cpu")
_TYPES = {"number": "double", "category": "string"}


def log_model(
    booster: xgb.Booster, features: dict[str, FeatureKind], example: pd.DataFrame, run_id: str
) -> str:
    """Log the artifact to a run; return its URI (`models:/m-…`), to be registered."""
    with _no_byte_code():
        info = Model.log(
            artifact_path=None,
            name="model",
            flavor=sys.modules[__name__],
            run_id=run_id,
            booster=booster,
            features=features,
            example=example,
        )
    return str(info.model_uri)


def save_model(
    path: str,
    mlflow_model: Model,
    booster: xgb.Booster,
    features: dict[str, FeatureKind],
    example: pd.DataFrame,
    **_: Any,
) -> None:
    """Write the artifact to a folder. Called by `Model.log`, as for every flavor of MLflow."""
    mlflow.xgboost.save_model(
        booster,
        path,
        mlflow_model=mlflow_model,
        signature=signature_of(features),
        input_example=example,
        code_paths=[str(LOADER)],
        pip_requirements=[f"{name}=={version(name)}" for name in _REQUIREMENTS],
        model_format="ubj",
    )
    # MLflow's own loader would hand raw strings to the booster; ours encodes them first.
    mlflow_model.flavors["python_function"]["loader_module"] = LOADER.stem
    mlflow_model.metadata = {RECORDED: _answers(Path(path))}
    mlflow_model.save(str(Path(path) / "MLmodel"))


def _answers(folder: Path) -> list[Any]:
    # By the booster and the rows as they were written: whoever checks has nothing else.
    booster = xgb.Booster(model_file=folder / "model.ubj")
    answered = answer_example(folder, columns_of(booster), booster)
    return [] if answered is None else answered.astype(np.float64).tolist()


def signature_of(features: dict[str, FeatureKind]) -> ModelSignature:
    """Return the raw columns in; one float32 per row out.

    Every number is a double: an integer type could not be null, and MLflow would drop the signature.
    """
    return ModelSignature(
        inputs=Schema([ColSpec(_TYPES[kind], name) for name, kind in features.items()]),
        outputs=Schema([TensorSpec(np.dtype("float32"), (-1,))]),
    )


@contextmanager
def _no_byte_code() -> Iterator[None]:
    # MLflow tries the model before it uploads it, and the loader's byte code would be uploaded too.
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before
