"""The job of the other project: a number for rows that know no time, through the same code as flights."""

from __future__ import annotations

import json

import pyarrow.compute as pc
from commands import As
from deltalake import DeltaTable

import deploy
from batch_jobs.__main__ import main
from projects.diamond_price import dataset
from storage import S3Settings

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
