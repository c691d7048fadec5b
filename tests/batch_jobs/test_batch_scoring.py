from __future__ import annotations

import datetime as dt
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_model import scorer

from batch_jobs.errors import UnfitDataError
from batch_jobs.partition import Provenance, partition_rows
from batch_jobs.scoring import Outcome, Rules, score_rows
from expectations import load_suite
from registry import Scorer
from storage import read_rows


def suite(*expectations: dict[str, Any]) -> dict[str, Any]:
    return {"name": "test", "expectations": list(expectations), "meta": {}}


def between(column: str, low: float, high: float) -> dict[str, Any]:
    kwargs = {"column": column, "min_value": low, "max_value": high}
    return {"type": "expect_column_values_to_be_between", "kwargs": kwargs, "severity": "critical"}


@pytest.fixture(scope="module")
def tiny() -> Scorer:
    return scorer()


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Rules:
    folder = tmp_path_factory.mktemp("suites")
    unique = {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "id"}, "severity": "critical"}
    rows = {
        "type": "expect_table_row_count_to_be_between",
        "kwargs": {"min_value": 1, "max_value": 500},
        "severity": "critical",
    }
    (folder / "input.json").write_text(json.dumps(suite(between("temp", -50, 120), unique, rows)))
    (folder / "predictions.json").write_text(json.dumps(suite(between("prediction", 0, 1))))
    return Rules(("id",), load_suite(folder / "input.json"), load_suite(folder / "predictions.json"), 1.0)


def csv(rows: list[tuple[str, str, str, str]]) -> bytes:
    return b"id,carrier,distance,temp\n" + "".join(",".join(r) + "\n" for r in rows).encode()


def score(files: dict[str, bytes], tiny: Scorer, rules: Rules) -> Outcome:
    batches = ((name, batch) for name, body in files.items() for batch in read_rows(io.BytesIO(body), name))
    return score_rows(batches, tiny, rules)


GOOD = ("AA", "500", "50")
cell = st.sampled_from(["50", "-10", "n/a", "", "1e999", "119.5", "500"])
carrier = st.sampled_from(["AA", "UA", "ZZ", ""])
row = st.one_of(st.tuples(carrier, cell, cell), st.just(GOOD))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(row, min_size=1, max_size=30), st.integers(1, 4), st.randoms())
def test_rows_in_are_rows_scored_plus_rows_quarantined(
    tiny: Scorer, rules: Rules, cells: list[tuple[str, str, str]], files: int, random: Any
) -> None:
    lines = [(f"k{number}", *c) for number, c in enumerate(cells)]
    ragged = [line[:2] if random.random() < 0.1 else line for line in lines]
    parts: dict[str, list[Any]] = {f"{n}.csv": [] for n in range(files)}
    for line in ragged:
        parts[random.choice(sorted(parts))].append(line)
    fit = [
        len(line) == 4 and all(t == "" or -50 <= float(t) <= 120 for t in line[3:]) and "n/a" not in line
        for line in ragged
        if "n/a" not in line[3:]
    ]
    if not any(fit):
        with pytest.raises(UnfitDataError, match=f"{len(cells)} of {len(cells)} rows are unfit"):
            score({name: csv(rows) for name, rows in parts.items()}, tiny, rules)
        return
    outcome = score({name: csv(rows) for name, rows in parts.items()}, tiny, rules)
    assert len(outcome.good.predictions) == sum(fit)
    assert len(outcome.good.predictions) + len(outcome.bad) == len(cells)
    places = list(zip(outcome.good.files.to_pylist(), outcome.good.positions.to_pylist(), strict=True))
    places += [(bad.file, bad.position) for bad in outcome.bad]
    assert sorted(places) == sorted((name, n) for name, rows in parts.items() for n in range(len(rows)))
    expected = {(name, n): line for name, rows in parts.items() for n, line in enumerate(rows)}
    for file, position, key in zip(
        outcome.good.files.to_pylist(),
        outcome.good.positions.to_pylist(),
        outcome.good.keys[0].to_pylist(),
        strict=True,
    ):
        assert expected[file, position][0] == key
    assert all(bad.reasons for bad in outcome.bad)


def test_each_bad_row_is_kept_whole_with_position_and_reasons(tiny: Scorer, rules: Rules) -> None:
    body = csv(
        [("a", *GOOD), ("b", "AA", "far", "warm"), ("c", "AA", "500", "400"), ("d", *GOOD), ("d", *GOOD)]
    )
    outcome = score({"f.csv": body + b"e,AA\n"}, tiny, rules)
    assert outcome.good.keys[0].to_pylist() == ["a"]
    assert [(bad.key[0], bad.position, bad.reasons) for bad in outcome.bad] == [
        ("b", 1, ("distance is 'far', expected a number", "temp is 'warm', expected a number")),
        ("c", 2, ("temp is 400, expected between -50 and 120",)),
        ("d", 3, ("id 'd' appears 2 times, expected once",)),
        ("d", 4, ("id 'd' appears 2 times, expected once",)),
        (None, 5, ("has 2 columns, expected 4",)),
    ]
    assert json.loads(outcome.bad[0].row) == {"id": "b", "carrier": "AA", "distance": "far", "temp": "warm"}
    assert json.loads(outcome.bad[4].row) == "e,AA"


def test_an_unseen_category_is_scored_as_a_missing_one(tiny: Scorer, rules: Rules) -> None:
    outcome = score({"f.csv": csv([("a", "ZZ", "500", "50"), ("b", "", "500", "50")])}, tiny, rules)
    first, second = outcome.good.predictions.view(np.uint32)
    assert first == second


def test_parquet_and_csv_of_the_same_rows_score_to_the_same_bits(tiny: Scorer, rules: Rules) -> None:
    values = {"id": ["a", "b"], "carrier": ["AA", None], "distance": [500.25, 0.1], "temp": [50.0, None]}
    buffer = io.BytesIO()
    pq.write_table(pa.table(values), buffer)
    lines = [("a", "AA", "500.25", "50.0"), ("b", "", "0.1", "")]
    ours = score({"f.parquet": buffer.getvalue()}, tiny, rules).good.predictions
    theirs = score({"f.csv": csv(lines)}, tiny, rules).good.predictions
    assert (ours.view(np.uint32) == theirs.view(np.uint32)).all()


def test_no_rows_are_unfit(tiny: Scorer, rules: Rules) -> None:
    with pytest.raises(UnfitDataError, match="The input holds 0 rows, expected at least 1"):
        score({"f.csv": csv([])}, tiny, rules)


def test_more_bad_rows_than_the_limit_stop_the_batch(tiny: Scorer, rules: Rules) -> None:
    strict = Rules(rules.row_key, rules.input_suite, rules.predictions_suite, 0.25)
    lines = [("a", *GOOD), ("b", "AA", "x", "50"), ("c", *GOOD)]
    with pytest.raises(UnfitDataError) as unfit:
        score({"f.csv": csv(lines)}, tiny, strict)
    assert str(unfit.value).startswith(
        "1 of 3 rows are unfit (33%), expected at most 25%; nothing is published. 1 rows: distance, expected"
        " a number. The first is at position 1 of f.csv"
    )


def test_a_batch_level_failure_stops_the_batch_with_its_report(tiny: Scorer, rules: Rules) -> None:
    lines = [(f"k{n}", *GOOD) for n in range(501)]
    with pytest.raises(UnfitDataError) as unfit:
        score({"f.csv": csv(lines)}, tiny, rules)
    assert "The batch is unfit, and nothing is published" in str(unfit.value)
    assert "501" in str(unfit.value)


def test_predictions_that_fail_their_suite_are_quarantined(
    tiny: Scorer, rules: Rules, tmp_path: Path
) -> None:
    (tmp_path / "narrow.json").write_text(json.dumps(suite(between("prediction", 0, 0.5))))
    narrow = Rules(rules.row_key, rules.input_suite, load_suite(tmp_path / "narrow.json"), 1.0)
    lines = [(f"k{n}", "UA", str(100 + 50 * n), "50") for n in range(50)]
    outcome = score({"f.csv": csv(lines)}, tiny, narrow)
    assert 0 < len(outcome.bad) < 50
    assert (outcome.good.predictions <= np.float32(0.5)).all()
    assert "prediction is 0." in outcome.bad[0].reasons[0]
    assert "expected between 0 and 0.5" in outcome.bad[0].reasons[0]


def test_the_partition_holds_every_row_once_with_its_provenance(tiny: Scorer, rules: Rules) -> None:
    outcome = score({"f.csv": csv([("a", *GOOD), ("b", "AA", "x", "50")])}, tiny, rules)
    made = Provenance(dt.date(2013, 7, 1), "tiny", 3, "run", "snap", "artifact", "suite")
    rows = partition_rows(outcome.good, outcome.bad, ("id",), made).to_pylist()
    assert [(r["id"], r["outcome"], r["model_version"], r["date"]) for r in rows] == [
        ("a", "scored", 3, dt.date(2013, 7, 1)),
        ("b", "quarantined", 3, dt.date(2013, 7, 1)),
    ]
    assert rows[0]["prediction"] is not None
    assert rows[0]["reasons"] is None
    assert rows[1]["prediction"] is None
    assert rows[1]["reasons"] == ["distance is 'x', expected a number"]
