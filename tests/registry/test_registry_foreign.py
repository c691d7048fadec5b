"""A model that is not Greenroom's own predicts through MLflow, and is asked only what it may be asked."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mlflow.sklearn
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression
from tiny_versions import unregistered

from registry.errors import ArtifactError
from registry.foreign import ForeignScorer


def saved(folder: Path, *, with_signature: bool = True) -> Path:
    """Save twice `a` plus `b`; scikit-learn refuses rows with what is missing."""
    rows = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 2)), columns=["a", "b"])
    model = LinearRegression().fit(rows, 2 * rows["a"] + rows["b"])
    signature = infer_signature(rows, model.predict(rows)) if with_signature else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own, on pickles
        mlflow.sklearn.save_model(model, str(folder), signature=signature, pip_requirements=[])
    return folder


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> ForeignScorer:
    return ForeignScorer.read(saved(tmp_path_factory.mktemp("foreign") / "model"), unregistered())


@pytest.mark.parametrize("kind", [pa.float32(), pa.float64()])
def test_rows_that_are_not_wanted_are_not_shown_to_it(scorer: ForeignScorer, kind: pa.DataType) -> None:
    table = pa.table({"b": pa.array([1.0, 2.0, 3.0], kind), "a": pa.array([1.0, None, 0.5], kind)})
    with pytest.raises(ValueError, match="contains NaN"):
        scorer.predict(table)
    found = scorer.predict(table, np.array([True, False, True]))
    assert found.dtype == np.float32
    assert found.tolist() == pytest.approx([3.0, 4.0])


def test_threads_may_share_it(scorer: ForeignScorer) -> None:
    shared = scorer.side_by_side()
    tables = [pa.table({"a": np.full(n, 1.0), "b": np.full(n, float(n))}) for n in range(1, 40)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(shared.predict, tables))
    assert [each.tolist() for each in found] == [pytest.approx([2.0 + n] * n) for n in range(1, 40)]


def test_without_a_signature_nobody_knows_what_it_takes(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="does not say which columns it takes; log it with a signature"):
        ForeignScorer.read(saved(tmp_path / "model", with_signature=False), unregistered())
