"""The job of the other project: a number for rows that know no time, through the same code as flights."""

from __future__ import annotations

import io
import json

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from commands import As
from deltalake import DeltaTable
from mlflow import MlflowClient
from pyarrow import parquet

import deploy
from batch_jobs.__main__ import main
from projects.diamond_price import dataset
from storage import S3Settings, Store

EMPTY = "expected more than 0 and at most 20"


def test_a_day_is_scored_and_stones_without_measures_are_set_aside(
    operator: As, diamonds: list[str], stack: deploy.Stack
) -> None:
    assert diamonds
    ran = operator(main, "run", "diamond_price", "--date", "2024-01-08", "--json")
    assert ran.code == 0, ran.err
    (report,) = json.loads(ran.out)
    assert (report["rows"], report["scored"], report["quarantined"]) == (5394, 5390, 4)
    assert (report["model"], report["model_version"]) == ("diamond-price", 1)
    # One stone has no measure at all, two have no height, one is 58.9 mm wide.
    assert report["reasons"] == {f"x, {EMPTY}": 1, f"y, {EMPTY}": 2, f"z, {EMPTY}": 3}

    settings = S3Settings.from_environment(stack.environment("operator"))
    table = DeltaTable("s3://greenroom/diamond_price/predictions", storage_options=settings.delta_options())
    rows = table.to_pyarrow_dataset(file_pruning_predicate=[("date", "=", "2024-01-08")]).to_table()
    stones = dataset.read_source().set_index("diamond_id")
    bad = rows.filter(pc.equal(rows["outcome"], "quarantined"))
    without = stones.loc[bad["diamond_id"].to_pylist(), ["x", "y", "z"]]
    assert ((without == 0).any(axis=1) | (without > 20).any(axis=1)).all()
    scored = rows.filter(pc.equal(rows["outcome"], "scored"))
    assert (stones.loc[scored["diamond_id"].to_pylist(), ["x", "y", "z"]] > 0).all(axis=None)
    prices = stones.loc[scored["diamond_id"].to_pylist(), "price"].to_numpy()
    assert abs(scored["prediction"].to_numpy() - prices).mean() < 320

    again = operator(main, "run", "diamond_price", "--date", "2024-01-08")
    assert again.code == 0
    assert "diamond_price 2024-01-08: 5,394 rows = 5,390 scored + 4 quarantined" in again.out
    assert "nothing to do" in again.out


def test_pages_of_what_the_suites_found_are_linked_from_the_run(
    operator: As, diamonds: list[str], stack: deploy.Stack
) -> None:
    assert diamonds
    store = Store.connect(S3Settings.from_environment(stack.environment("admin")))
    root = "s3://greenroom/diamond_price/diamonds/date="
    [delivered, *_] = store.snapshot(f"{root}2024-01-09").objects
    rows = parquet.read_table(store.open(delivered))
    flat = rows.set_column(rows.column_names.index("z"), "z", pa.array([0.0] * len(rows)))
    buffer = io.BytesIO()
    parquet.write_table(flat, buffer)
    store.write(f"{root}2031-01-01/part-0.parquet", buffer.getvalue())

    fit = operator(main, "run", "diamond_price", "--date", "2024-01-09", "--json")
    assert fit.code == 0, fit.err
    assert json.loads(fit.out)[0]["warnings"] == []
    unfit = operator(main, "run", "diamond_price", "--date", "2031-01-01")
    assert unfit.code == 3, unfit.err

    for day, page_says in (("2024-01-09", "Must have "), ("2031-01-01", "100% unexpected")):
        client = MlflowClient(stack.environment("admin")["MLFLOW_TRACKING_URI"])
        with pytest.MonkeyPatch.context() as patch:
            for name, value in stack.environment("admin").items():
                patch.setenv(name, value)
            [experiment] = client.search_experiments(filter_string="name = 'diamond_price batch'")
            [run] = client.search_runs([experiment.experiment_id], f"params.date = '{day}'", max_results=1)
        index = run.data.tags["greenroom.data_docs"]
        site = f"s3://greenroom/diamond_price/data_docs/{day}/{run.info.run_id}"
        assert index == f"{site}/index.html"
        assert (
            store.client.head_object(Bucket="greenroom", Key=index.removeprefix("s3://greenroom/"))[
                "ContentType"
            ]
            == "text/html"
        )
        pages = {o.uri.removeprefix(site): o for o in store.snapshot(site).objects}
        [page] = [uri for uri in pages if uri.startswith("/validations/diamond_price/input/")]
        text = store.open(pages[page]).read().decode()
        assert page_says in text
        assert any(uri.startswith("/validations/diamond_price/predictions/") for uri in pages)
        assert sum(o.size_bytes for o in pages.values()) < 500_000
