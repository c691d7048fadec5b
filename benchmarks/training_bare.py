"""What XGBoost needs at the least: `python -m benchmarks.training_bare FOLDER`, in a process of its own.

It streams encoded rows from a Parquet file into a `QuantileDMatrix`, trains, and saves the booster. It knows
nothing of Greenroom, MLflow or S3, and imports none of them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import xgboost as xgb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

ROWS, DECLARED, BOOSTER = "rows.parquet", "declared.json", "model.ubj"
LABEL = "_label"


class _Batches(xgb.DataIter):  # type: ignore[misc]  # xgboost has no types
    def __init__(self, path: Path, batch_rows: int, categories: Mapping[str, list[str]]) -> None:
        super().__init__()
        self.path, self.batch_rows = path, batch_rows
        self.categories = {name: pa.array(words, pa.string()) for name, words in categories.items()}
        self.reset()

    def next(self, input_data: Callable[..., Any]) -> bool:
        batch = next(self.batches, None)
        if batch is None:
            return False
        columns = {
            name: pa.DictionaryArray.from_arrays(batch[name], self.categories[name])
            if name in self.categories
            else batch[name]
            for name in batch.schema.names
            if name != LABEL
        }
        input_data(data=pa.table(columns), label=batch[LABEL].to_numpy())
        return True

    def reset(self) -> None:
        self.batches: Iterator[pa.RecordBatch] = pq.ParquetFile(self.path).iter_batches(self.batch_rows)


def main(folder: Path) -> None:
    """Train on the rows of a folder as it declares, and save the booster there."""
    declared = json.loads((folder / DECLARED).read_text())
    batches = _Batches(folder / ROWS, declared["batch_rows"], declared["categories"])
    max_bin = declared["parameters"]["max_bin"]
    matrix = xgb.QuantileDMatrix(batches, enable_categorical=True, max_bin=max_bin)
    booster = xgb.train(declared["parameters"], matrix, num_boost_round=declared["rounds"])
    booster.save_model(folder / BOOSTER)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
