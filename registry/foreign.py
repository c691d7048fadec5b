"""A version of any other kind, loaded the way MLflow loads it: with the code that it brings."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from registry.errors import ArtifactError
from registry.formats import signature_of
from registry.scorer import Column

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from registry.versions import ModelVersion


@dataclass(frozen=True)
class ForeignScorer:
    """Predicts through MLflow's `pyfunc`: slower, and only where the settings allow foreign code."""

    version: ModelVersion
    columns: tuple[Column, ...]
    model: Any
    lock: AbstractContextManager[Any] = field(default_factory=nullcontext)

    @classmethod
    def read(cls, folder: Path, version: ModelVersion) -> ForeignScorer:
        """Load a verified artifact, running its code. Raises `ArtifactError` without a signature."""
        import mlflow.pyfunc

        what = f"{version.name} version {version.version}"
        signature = signature_of(folder)
        if not signature or not all("name" in column for column in signature["inputs"]):
            raise ArtifactError(f"{what} does not say which columns it takes; log it with a signature")
        text = pa.array([], pa.string())
        columns = tuple(
            Column(column["name"], text if column["type"] == "string" else None)
            for column in signature["inputs"]
        )
        return cls(version, columns, mlflow.pyfunc.load_model(str(folder)))

    def predict(
        self, table: pa.Table, wanted: npt.NDArray[np.bool_] | None = None
    ) -> npt.NDArray[np.float32]:
        """Return one prediction, float32, for each row of raw columns that a mask of shape (rows,) wants."""
        if wanted is not None:
            table = table.filter(pa.array(wanted))  # it may refuse all for one that is unfit
        frame = table.select([column.name for column in self.columns]).to_pandas()
        with self.lock:
            found = np.asarray(self.model.predict(frame), dtype=np.float32).reshape(-1)
        if len(found) != len(table):
            raise ArtifactError(
                f"{self.version.name} version {self.version.version} answered {len(found):,} values for"
                f" {len(table):,} rows, expected one each"
            )
        return found

    def side_by_side(self) -> ForeignScorer:
        """Return it for several threads, of which one predicts at a time: who knows what it does."""
        return replace(self, lock=threading.Lock())
