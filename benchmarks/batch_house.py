"""What the batch benchmark works on: rows on S3, a model in Production, and a job."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import xgboost as xgb

import registry
from projects.artifact import log_model
from registry import Validation
from storage import S3Settings, Store, data_uri

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

COLUMNS = [f"f{n:02d}" for n in range(20)]
TREES, DEPTH = 300, 6
CHECKS = 15
# Of the rows, so many have a value that no range allows.
BAD_SHARE = 0.001
MODEL, JOB = "bench", "bench"
INPUT = "bench/rows/date={date}"
_FILE_ROWS, _GROUP_ROWS = 1_000_000, 131_072
_TRAINING_ROWS = 50_000

Floats = npt.NDArray[np.float32]


def write_rows(rows: int, date: dt.date, environment: Mapping[str, str]) -> None:
    """Put rows on S3 as an upstream team would: Parquet files of a million, with a key that is text."""
    store = Store.connect(S3Settings.from_environment(environment))
    day = data_uri(INPUT, environment).replace("{date}", str(date))
    rng = np.random.default_rng(rows)
    with tempfile.TemporaryDirectory(prefix="greenroom-bench-") as scratch:
        for number, start in enumerate(range(0, rows, _FILE_ROWS)):
            count = min(_FILE_ROWS, rows - start)
            columns = dict(zip(COLUMNS, rng.standard_normal((len(COLUMNS), count), np.float32), strict=True))
            columns[COLUMNS[0]][rng.random(count) < BAD_SHARE] = 1e9
            keys = pa.array([f"{n:012d}" for n in range(start, start + count)])
            path = Path(scratch) / "rows.parquet"
            pq.write_table(pa.table({"id": keys, **columns}), path, _GROUP_ROWS, compression="zstd")
            store.upload(f"{day}/part-{number:03d}.parquet", path)


def job_document(folder: Path) -> dict[str, object]:
    """Return the job as its file would hold it; its suites are written to a folder."""

    def between(column: str, low: float, high: float) -> dict[str, object]:
        kwargs = {"column": column, "min_value": low, "max_value": high}
        return {"type": "expect_column_values_to_be_between", "kwargs": kwargs}

    suites = {
        "input": [between(name, -100, 100) for name in COLUMNS[:CHECKS]],
        "predictions": [between("prediction", 0, 1)],
    }
    for name, expectations in suites.items():
        document = {"name": f"{JOB}/{name}", "expectations": expectations}
        (folder / f"{name}.json").write_text(json.dumps(document))
    return {
        "model": f"models:/{MODEL}/Production",
        "input": INPUT,
        "output": f"bench/{os.environ.get('BENCH_TABLE', JOB)}",
        "row_key": ["id"],
        "suites": {name: str(folder / f"{name}.json") for name in suites},
        "limits": {"quarantined_share": 10 * BAD_SHARE},
    }


def put_in_production(author: Mapping[str, str], reviewer: Mapping[str, str], seed: int = 0) -> Path:
    """Train a version, and take it through a review; return the folder with its artifact.

    MLflow's settings are those of a process: this one takes the author's.
    """
    os.environ.update(author)
    registry.prepare_client(os.environ)
    at = registry.connect(author)
    run_id = at.client.create_run("0").info.run_id
    example = pd.DataFrame({name: np.zeros(2) for name in COLUMNS})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own, on newer pandas
        uri = log_model(train(seed), dict.fromkeys(COLUMNS, "number"), example, run_id)
    at.client.update_run(run_id, status="FINISHED")
    version = registry.register(at, MODEL, uri, run_id)
    verdict = Validation(
        passed=True,
        digest=version.digest or "",
        run_id=run_id,
        metrics={"auc": 0.9},
        reasons=("made for a benchmark",),
    )
    registry.record_validation(at, version, verdict)
    for act, environment in (("request", author), ("approve", reviewer)):
        command = [
            sys.executable,
            "-m",
            "registry",
            act,
            MODEL,
            str(version.version),
            "--reason",
            "benchmark",
        ]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return registry.fetch(at, version)


def train(seed: int) -> xgb.Booster:
    """Train trees as large as those that the issue of the endpoint measured."""
    rng = np.random.default_rng(seed)
    rows: Floats = rng.standard_normal((_TRAINING_ROWS, len(COLUMNS)), np.float32)
    label = (rows[:, :5].sum(axis=1) + rng.standard_normal(len(rows)) > 0).astype(np.float32)
    parameters = {"objective": "binary:logistic", "max_depth": DEPTH}
    return xgb.train(parameters, xgb.QuantileDMatrix(rows, label=label, feature_names=COLUMNS), TREES)
