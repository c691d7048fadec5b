"""From files on S3 to parts: every row is in exactly one, scored or set aside with its reasons."""

from __future__ import annotations

import json
import os
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
from house import House, Scored, csv, parquet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow.models import Model
from tiny_model import between, rules_of, scorer, suite

from batch_jobs import parts
from batch_jobs.errors import JobFileError, UnfitDataError
from batch_jobs.results import SplitResult
from batch_jobs.scoring import Rules
from projects.artifact import save_model

if TYPE_CHECKING:
    from pathlib import Path

    from mlflow.pyfunc import PyFuncModel

    from projects.declaration import FeatureKind
    from storage import S3Settings, Store

EXHAUSTIVE = bool(os.environ.get("GREENROOM_EXHAUSTIVE"))


@pytest.fixture(scope="module")
def house(s3: S3Settings, store: Store, tmp_path_factory: pytest.TempPathFactory) -> House:
    return House(store, s3, scorer(), tmp_path_factory.mktemp("scratch"))


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Rules:
    unique = {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "id"}, "severity": "critical"}
    return rules_of(
        tmp_path_factory.mktemp("suites"), [between("temp", -50, 120), unique], [between("prediction", 0, 1)]
    )


@pytest.fixture(scope="module")
def pyfunc(house: House, tmp_path_factory: pytest.TempPathFactory) -> PyFuncModel:
    """The same booster as an artifact, through MLflow's own door."""
    folder = tmp_path_factory.mktemp("artifact") / "model"
    example = pd.DataFrame({"carrier": ["AA"], "distance": [500.0], "temp": [50.0]})
    save_model(str(folder), Model(), house.scorer.booster, KINDS, example)
    return mlflow.pyfunc.load_model(str(folder))


KINDS: dict[str, FeatureKind] = {"carrier": "category", "distance": "number", "temp": "number"}
GOOD = ("AA", "500", "50")
cell = st.sampled_from(["50", "-10", "n/a", "", "1e999", "119.5", "500"])
carrier = st.sampled_from(["AA", "UA", "ZZ", ""])
row = st.one_of(st.tuples(carrier, cell, cell), st.just(GOOD))


@settings(
    max_examples=300 if EXHAUSTIVE else 25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(st.tuples(st.integers(0, 40), row), min_size=1, max_size=30),
    st.integers(1, 4),
    st.tuples(st.integers(1, 400), st.integers(1, 8)),
    st.randoms(),
)
def test_rows_in_are_rows_scored_plus_rows_quarantined(
    house: House,
    pyfunc: PyFuncModel,
    rules: Rules,
    lines: list[tuple[int, tuple[str, str, str]]],
    files: int,
    sizes: tuple[int, int],
    random: Any,
) -> None:
    split_bytes, part_rows = sizes
    ragged = [
        (f"k{key}", *cells)[: 2 if random.random() < 0.1 else 4]  # some have lost their end
        for key, cells in lines
    ]
    delivered: dict[str, list[tuple[str, ...]]] = {f"{n}.csv": [] for n in range(files)}
    for line in ragged:
        delivered[random.choice(sorted(delivered))].append(line)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "PART_ROWS", part_rows)
        found = house.score({name: csv(rows) for name, rows in delivered.items()}, rules, split_bytes)
    expected = {(name, n): line for name, rows in delivered.items() for n, line in enumerate(rows)}
    assert Counter((r["input_file"], r["input_position"]) for r in found.rows) == Counter(expected.keys())
    assert (found.result.scored, found.result.quarantined) == (
        len(found.only("scored")),
        len(found.only("quarantined")),
    )
    assert found.result.input.rows == sum(len(line) == 4 and "n/a" not in line[2:] for line in ragged)
    scored = [(row, expected[row["input_file"], row["input_position"]]) for row in found.only("scored")]
    assert [row["id"] for row, _ in scored] == [line[0] for _, line in scored]
    assert not any("n/a" in line[2:] or not -50 <= float(line[3] or 0) <= 120 for _, line in scored)
    raw = pd.DataFrame([[cell or None for cell in line[1:]] for _, line in scored], columns=list(KINDS))
    told = pyfunc.predict(raw.astype({"distance": "float64", "temp": "float64"})) if scored else []
    np.testing.assert_array_equal(np.array([row["prediction"] for row, _ in scored], np.float32), told)
    assert all(bad["reasons"] for bad in found.only("quarantined"))
    # Within a part doubles are set aside, and between parts they are refused: none is scored twice.
    keys = Counter(r["id"] for r in found.rows)
    doubled = any(keys[r["id"]] > 1 for r in found.only("scored"))
    for kept in (True, False):
        with pytest.raises(UnfitDataError) if doubled else nullcontext():
            house.refuse_doubles(found, kept=kept)


def test_each_bad_row_is_kept_whole_with_position_and_reasons(house: House, rules: Rules) -> None:
    body = csv(
        [
            *[("a", *GOOD), ("b", "AA", "far", "warm"), ("c", "AA", "500", "400"), ("d", *GOOD)],
            *[("d", *GOOD), ("", *GOOD), ("c", *GOOD)],
        ]
    )
    found = house.score({"f.csv": body + b"e,AA\n"}, rules)
    assert [r["id"] for r in found.only("scored")] == ["a"]
    twice = "appears 2 times, expected once"
    assert [(r["id"], r["input_position"], r["reasons"]) for r in found.only("quarantined")] == [
        ("b", 1, ["distance is 'far', expected a number", "temp is 'warm', expected a number"]),
        ("c", 2, ["temp is 400, expected between -50 and 120", f"id 'c' {twice}"]),
        ("d", 3, [f"id 'd' {twice}"]),
        ("d", 4, [f"id 'd' {twice}"]),
        (None, 5, ["id is null"]),
        ("c", 6, [f"id 'c' {twice}"]),
        (None, 7, ["has 2 columns, expected 4"]),
    ]
    whole = [json.loads(r["row"]) for r in found.only("quarantined")]
    assert whole[0] == {"id": "b", "carrier": "AA", "distance": "far", "temp": "warm"}
    assert whole[2] == {"id": "d", "carrier": "AA", "distance": "500", "temp": "50"}
    assert whole[6] == "e,AA"
    assert found.result.first_bad is not None
    assert found.result.first_bad.startswith("position 1 of s3://")
    assert found.result.reasons["id, expected once"] == 4


@pytest.mark.parametrize("kept", [True, False])
def test_doubles_in_different_parts_are_named_and_refused(house: House, rules: Rules, *, kept: bool) -> None:
    files = {"1.csv": csv([("a", *GOOD), ("b", *GOOD)]), "2.csv": csv([("c", *GOOD), ("b", *GOOD)])}
    found = house.score(files, rules, split_bytes=1)
    with pytest.raises(UnfitDataError, match="At least 1 keys are of more than one row") as refused:
        house.refuse_doubles(found, kept=kept)
    assert "id b is at position 1 of s3://" in str(refused.value)


def test_a_share_of_doubles_that_the_suite_does_not_bear_stops_the_day(house: House, tmp_path: Path) -> None:
    unique = {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "id", "mostly": 0.6}}
    mostly = rules_of(tmp_path, [unique], [between("prediction", 0, 1)])
    lines = [("a", *GOOD), ("b", *GOOD), ("b", *GOOD), ("c", *GOOD)]
    found = house.score({"f.csv": csv(lines)}, mostly).result
    [failure] = mostly.input.conclude(found.input).batch_failures
    assert failure.message == "id, expected once: met by 50.0% of the rows, expected at least 60.0%"
    enough = house.score({"f.csv": csv([*lines, ("d", *GOOD), ("e", *GOOD)])}, mostly).result
    assert mostly.input.conclude(enough.input).batch_failures == ()


def test_a_file_that_was_delivered_twice_is_said_to_be(
    house: House, rules: Rules, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "MOST_DOUBLED", 3)
    body = csv([("a", *GOOD), ("b", *GOOD), ("c", *GOOD)])
    with pytest.raises(UnfitDataError, match="4 of 4 rows have a key that another row has, too") as refused:
        house.score(
            {"1.csv": csv([("a", *GOOD), ("b", *GOOD)]), "2.csv": csv([("a", *GOOD), ("b", *GOOD)])}, rules
        )
    assert "Was a file delivered twice?" in str(refused.value)
    assert house.score({"1.csv": body}, rules).result.quarantined == 0


def test_doubles_that_are_set_aside_stop_nothing(house: House, rules: Rules) -> None:
    unfit = [("c", "AA", "500", "400"), ("d", *GOOD), ("d", *GOOD)]
    files = {"1.csv": csv([("a", *GOOD), *unfit]), "2.csv": csv([("b", *GOOD), *unfit])}
    found = house.score(files, rules, split_bytes=1)
    assert (found.result.scored, found.result.quarantined) == (2, 6)
    house.refuse_doubles(found, kept=True)


def test_a_large_file_is_scored_by_its_row_groups(house: House, rules: Rules) -> None:
    count = 23
    values = {
        "id": [f"k{n}" for n in range(count)],
        "carrier": ["AA"] * count,
        "distance": [float(n) for n in range(count)],
        "temp": [400.0 if n == 20 else 50.0 for n in range(count)],
    }
    body = parquet(values, row_group_size=3)
    whole, cut = house.score({"f.parquet": body}, rules), house.score({"f.parquet": body}, rules, 500)
    assert len(whole.result.parts) == 2
    assert len(cut.result.parts) > 4

    def told(found: Scored) -> list[tuple[Any, ...]]:
        names = ("outcome", "input_position", "id", "prediction", "reasons")
        return sorted((tuple(r[name] for name in names) for r in found.rows), key=lambda each: each[1])

    assert told(whole) == told(cut)
    assert [r["input_position"] for r in cut.only("quarantined")] == [20]


def test_an_unseen_category_is_scored_as_a_missing_one(house: House, rules: Rules) -> None:
    found = house.score({"f.csv": csv([("a", "ZZ", "500", "50"), ("b", "", "500", "50")])}, rules)
    first, second = (row["prediction"] for row in found.rows)
    assert first == second


def test_parquet_and_csv_of_the_same_rows_score_to_the_same_bits(house: House, rules: Rules) -> None:
    values = {"id": ["a", "b"], "carrier": ["AA", None], "distance": [500.25, 0.1], "temp": [50.0, None]}
    lines = [("a", "AA", "500.25", "50.0"), ("b", "", "0.1", "")]
    ours = [row["prediction"] for row in house.score({"f.parquet": parquet(values)}, rules).rows]
    theirs = [row["prediction"] for row in house.score({"f.csv": csv(lines)}, rules).rows]
    assert ours == theirs


def test_a_file_without_rows_is_no_part(house: House, rules: Rules) -> None:
    found = house.score({"f.csv": csv([])}, rules)
    assert (found.result.parts, found.result.rows) == ((), 0)


def test_predictions_that_fail_their_suite_are_quarantined(
    house: House, rules: Rules, tmp_path: Path
) -> None:
    narrow = replace(
        rules,
        predictions=rules_of(tmp_path, [between("temp", 0, 1)], [between("prediction", 0, 0.5)]).predictions,
    )
    lines = [(f"k{n}", "UA", str(100 + 50 * n), "50") for n in range(50)]
    found = house.score({"f.csv": csv(lines)}, narrow)
    assert 0 < found.result.quarantined < 50
    assert all(row["prediction"] <= np.float32(0.5) for row in found.only("scored"))
    assert "prediction is 0." in found.only("quarantined")[0]["reasons"][0]
    assert "expected between 0 and 0.5" in found.only("quarantined")[0]["reasons"][0]


def test_every_row_says_where_it_came_from(house: House, rules: Rules) -> None:
    found = house.score({"f.csv": csv([("a", *GOOD), ("b", "AA", "x", "50")])}, rules)
    for each, outcome in zip(found.rows, ("scored", "quarantined"), strict=True):
        assert each["outcome"] == outcome
        assert each["date"] == "2013-07-01"
        assert {name: each[name] for name in ("model", "model_version", "run_id")} == {
            "model": "tiny",
            "model_version": 3,
            "run_id": "run",
        }
        digests = [each[f"{of}_digest"] for of in ("snapshot", "artifact", "suite", "code")]
        assert digests == ["snap", "artifact", "suite", "code"]
    assert (found.rows[0]["reasons"], found.rows[0]["row"]) == (None, None)
    assert found.rows[1]["prediction"] is None


def test_what_became_of_a_split_survives_json(house: House, rules: Rules) -> None:
    found = house.score({"f.csv": csv([("a", *GOOD), ("b", "AA", "x", "50")])}, rules).result
    assert SplitResult.from_plain(json.loads(json.dumps(found.to_plain()))) == found


def test_a_suite_on_the_doubles_of_another_column_is_refused(tmp_path: Path) -> None:
    unique = {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "temp"}}
    with pytest.raises(JobFileError, match="expects temp to be unique; a job finds doubles of its row_key"):
        rules_of(tmp_path, [unique], [between("prediction", 0, 1)])
    assert suite(unique)["expectations"] == [unique]
