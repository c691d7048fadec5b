"""Figures of the data: what training warns of, and what gates of a validation judge."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evidence import Gate
from projects.declaration import Project, read_project
from projects.quality import measure_quality
from projects.rows.labelled import find_or_write
from projects.runs import Workplace, train_version
from projects.validation import validate_version

if TYPE_CHECKING:
    from registry import Registry

pytest_plugins = ["projects_fixtures"]

SOURCE = "leaking/stones"
LIMIT = Gate(quality="leakage", at_most=0.99)


def leaking(**changed: object) -> Project:
    """A project one of whose features is the label in other words."""
    project = replace(
        read_project("diamond_price"),
        model="diamond-leak",
        features={"carat": "number", "paid": "number", "cut": "category"},
        slices={},
        sources={"features": SOURCE},
        rounds=5,
        metrics=("r2",),
        gates=(LIMIT,),
    )
    return replace(project, **changed)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def work(at: Registry) -> Workplace:
    assert at.uri
    place = Workplace.connect(os.environ)
    rng = np.random.default_rng(9)
    rows = 2000
    carat = rng.uniform(0.2, 3, rows)
    price = 4000 * carat**1.5 + rng.normal(0, 900, rows)
    table = pa.table(
        {
            "diamond_id": [f"d{n}" for n in range(rows)],
            "carat": pa.array(carat, mask=rng.random(rows) < 0.25),
            "paid": price * 1.19,
            "cut": rng.choice(["Fair", "Ideal"], rows),
            "price": price,
        }
    )
    body = io.BytesIO()
    pq.write_table(table, body)
    place.store.write(f"s3://greenroom/{SOURCE}/all.parquet", body.getvalue())
    return place


def test_training_warns_of_a_feature_that_is_the_label_and_validation_fails(work: Workplace) -> None:
    heard: list[str] = []
    project = leaking()
    version = train_version(project, project.training_part(), 1.0, replace(work, warn=heard.append))
    (sentence,) = heard
    assert sentence == (
        "paid of the features orders the rows as the label price does; if it is not known when a prediction"
        " is made, take it out"
    )
    assert version.run_id is not None
    assert work.registry.client.get_run(version.run_id).data.tags["greenroom.warning"] == sentence
    verdict = validate_version(project, version.version, None, work)
    assert verdict.outcome == "failed"
    assert verdict.reasons == ("leakage is 1.0000, expected at most 0.99",)


def test_without_it_nothing_is_said(work: Workplace) -> None:
    heard: list[str] = []
    project = leaking(model="diamond-honest", features={"carat": "number", "cut": "category"})
    train_version(project, project.training_part(), 1.0, replace(work, warn=heard.append))
    assert heard == []


def test_missing_values_and_rows_that_the_suite_rejects_are_counted(work: Workplace) -> None:
    project = leaking()
    part = project.training_part()
    labelled = find_or_write(project, part, work.store, work.environment)
    found = measure_quality(project, labelled)
    assert found.keys() == {"rows", "missing_share", "leakage"}
    assert 1500 < found["rows"] < 1700
    assert 0.22 < found["missing_share"] < 0.28

    # The suite of diamonds wants a carat, among columns that these rows do not have.
    gated = leaking(gates=(LIMIT, Gate(quality="rejected_share", at_most=0.5)))
    assert measure_quality(gated, labelled)["rejected_share"] == pytest.approx(found["missing_share"])
