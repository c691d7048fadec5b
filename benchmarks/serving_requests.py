"""What the servers are asked, and what XGBoost answers to it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.batch_house import COLUMNS

if TYPE_CHECKING:
    from pathlib import Path

    import xgboost as xgb

# So many different requests of each size, one after the other: none of them can be remembered cheaply.
_VALUES = 50_000
_MOST_REQUESTS = 256
_DIGITS = 4


@dataclass(frozen=True)
class Requests:
    """Files with request bodies and the predictions of each, for `benchmarks.serving_load`."""

    folder: Path

    def file(self, protocol: str, rows: int) -> Path:
        """Return the file of requests with so many rows: `mlflow`, `open_inference`, or `hello`."""
        return self.folder / f"{protocol}-{rows}.json"

    def write(self, booster: xgb.Booster, rows: int) -> None:
        """Write the files of one size."""
        count = min(_MOST_REQUESTS, max(1, _VALUES // (rows * len(COLUMNS))))
        values = np.random.default_rng(rows).standard_normal((count, rows, len(COLUMNS))).round(_DIGITS)
        answers = [booster.inplace_predict(matrix.astype(np.float32)).tolist() for matrix in values]
        for protocol, body in (("mlflow", _mlflow), ("open_inference", _open_inference), ("hello", _mlflow)):
            document = {
                "bodies": [json.dumps(body(matrix.tolist()), separators=(",", ":")) for matrix in values],
                # Hello world always says the same.
                "answers": None if protocol == "hello" else answers,
            }
            self.file(protocol, rows).write_text(json.dumps(document))


def _mlflow(rows: list[list[float]]) -> dict[str, Any]:
    return {"dataframe_split": {"columns": COLUMNS, "data": rows}}


def _open_inference(rows: list[list[float]]) -> dict[str, Any]:
    shape, data = [len(rows), len(COLUMNS)], [value for row in rows for value in row]
    return {"inputs": [{"name": "rows", "shape": shape, "datatype": "FP32", "data": data}]}
