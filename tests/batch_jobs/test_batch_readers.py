"""The table is an ordinary one: pandas, Polars and DuckDB read it, each with a filter of one line."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb
import polars as pl
import pytest
from deltalake import DeltaTable
from house import House, csv
from tiny_model import between, made, rules_of, scorer

from batch_jobs.partition import PARTITION_BY, schema_of
from storage import S3Settings, Store, commit_parts

ROWS = [("a", "AA", "500", "50"), ("b", "AA", "far", "50"), ("c", "ZZ", "1", "2"), ("d", "AA", "5", "500")]
PREDICTED, SET_ASIDE = ["a", "c"], {"b": 1, "d": 1}


@pytest.fixture(scope="module")
def table_uri(s3: S3Settings, store: Store, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("readers")
    rules = rules_of(folder, [between("temp", -50, 120)], [between("prediction", 0, 1)])
    found = House(store, s3, scorer(), folder).score({"f.csv": csv(ROWS)}, rules)
    day = ("date", str(made().date))
    commit_parts(found.table_uri, found.result.parts, schema_of(("id",)), day, PARTITION_BY, s3, after=0)
    return found.table_uri


def test_pandas_reads_it(table_uri: str, s3: S3Settings) -> None:
    table = DeltaTable(table_uri, storage_options=s3.delta_options())
    day = ("date", "=", made().date)
    scored = table.to_pandas(filters=[day, ("outcome", "=", "scored")])
    assert sorted(scored["id"]) == PREDICTED
    assert scored["prediction"].between(0, 1).all()
    bad = table.to_pandas(filters=[day, ("outcome", "=", "quarantined")])
    assert dict(zip(bad["id"], bad["reasons"].map(len), strict=True)) == SET_ASIDE


def test_polars_reads_it(table_uri: str, s3: S3Settings) -> None:
    table = pl.scan_delta(table_uri, storage_options=s3.delta_options())
    scored = table.filter(date=made().date, outcome="scored").collect()
    assert sorted(scored["id"]) == PREDICTED
    assert scored["prediction"].is_between(0, 1).all()
    bad = table.filter(date=made().date, outcome="quarantined").collect()
    assert {row["id"]: len(row["reasons"]) for row in bad.to_dicts()} == SET_ASIDE
    assert table.filter(date=made().date + dt.timedelta(days=1)).collect().is_empty()


def test_duckdb_reads_it(table_uri: str, s3: S3Settings, tmp_path: Path) -> None:
    predictions = DeltaTable(table_uri, storage_options=s3.delta_options()).to_pyarrow_dataset()
    with duckdb.connect(tmp_path / "db") as db:
        db.register("predictions", predictions)
        of_day = f"from predictions where date = '{made().date}' and outcome ="  # a date of ours
        scored = db.sql(f"select id, prediction {of_day} 'scored'").fetchall()
        assert sorted(key for key, _ in scored) == PREDICTED
        assert all(0 <= prediction <= 1 for _, prediction in scored)
        bad = db.sql(f"select id, len(reasons) {of_day} 'quarantined'").fetchall()
        assert dict(bad) == SET_ASIDE
