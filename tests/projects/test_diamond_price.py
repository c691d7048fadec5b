"""The second project: a number for rows that know no time, through the same code as the first."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest
from commands import As

import registry
from projects.__main__ import main
from projects.diamond_price import dataset
from projects.parts import Side
from registry import Registry, read_review

pytest_plugins = ["projects_fixtures"]


@pytest.fixture(scope="module")
def prices() -> dict[str, float]:
    diamonds = dataset.read_source()
    return dict(zip(diamonds["diamond_id"], diamonds["price"], strict=True))


def test_it_is_trained_judged_and_scored(author: As, at: Registry, diamonds: list[str]) -> None:
    delivered, trained, validated, *_ = diamonds
    assert delivered.startswith("Delivered 53,940 rows, 2024-01-01 to 2024-01-10, to s3://greenroom/diamond")
    first = "Registered diamond-price version 1, trained on 80 % of the row keys, for training"
    assert first in trained

    assert "diamond-price version 1: validation passed\n" in validated
    assert "\n  served in a clean environment, it answers 205 rows as the batch scorer does" in validated
    assert re.search(r"\n  r2 is 0\.98\d\d \(0\.9\d{3} to 0\.9\d{3}\), expected at least 0\.97\n", validated)
    assert "r2 by cut: none of 5 is shown to be beyond the bound; at worst, where cut is " in validated
    assert re.search(
        r"judged on 20 % of the row keys, for validation, 10,\d{3} rows; compared with noth", validated
    )

    verdict = read_review(at, "diamond-price", 1).validation
    assert verdict is not None
    assert verdict.metrics["mae"] < 320
    run = at.client.get_run(verdict.run_id)
    plots = {file.path for file in at.client.list_artifacts(run.info.run_id, "plots")}
    names = ("calibration", "contributions", "errors", "scores", "slices")
    assert plots == {f"plots/{name}.png" for name in names}
    rows = dataset.read_source().head(2000)
    scorer = registry.load(at, "models:/diamond-price/1")
    answers = scorer.predict(pa.Table.from_pandas(rows, preserve_index=False))
    assert answers.dtype == np.float32
    assert np.abs(answers - rows["price"]).mean() < 320

    window = author(main, "train", "diamond_price", "--since", "2024-01-01")
    assert window.code == 2
    assert "The project diamond_price has no time column; leave --since and --until out" in window.err


def test_no_row_is_on_both_sides(prices: dict[str, float]) -> None:
    keys = np.array([*prices], object)
    training, validation = Side(0.2, "training").holds(keys), Side(0.2, "validation").holds(keys)
    assert (training ^ validation).all()
    assert 0.19 < validation.mean() < 0.21
    # A row stays where it is, whatever others there are.
    assert (Side(0.2, "validation").holds(keys[:100]) == validation[:100]).all()
