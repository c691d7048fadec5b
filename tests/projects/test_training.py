"""Training: the same bytes for the same rows and seed, and clear refusals."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import january
import numpy as np
import pyarrow as pa
import pytest
import xgboost as xgb
from commands import REPOSITORY, run_command

from projects.errors import UnfitTrainingDataError
from projects.labelled import LabelledRows, sample_rows
from projects.training import train


def trained(rows: LabelledRows, **changed: object) -> bytes:
    booster = train(january.project(**changed), rows, lambda _: None)
    return bytes(booster.save_raw("ubj"))


def categories(rows: LabelledRows) -> dict[str, list[str] | None]:
    booster = train(january.project(rounds=1), rows, lambda _: None)
    found = dict(booster.get_categories(export_to_arrow=True).to_arrow())
    return {name: None if values is None else values.to_pylist() for name, values in found.items()}


def reordered(rows: LabelledRows, order: np.ndarray) -> LabelledRows:
    return replace(rows, features=rows.features.take(pa.array(order)), label=rows.label[order])


def test_the_same_rows_and_seed_give_the_same_bytes() -> None:
    once = trained(january.january())
    assert trained(january.january()) == once
    assert trained(january.january(), seed=2014) != once


def test_the_bytes_do_not_depend_on_the_number_of_threads() -> None:
    found = set()
    for threads in (1, 2):
        with xgb.config_context(nthread=threads):
            found.add(trained(january.january(), nthread=threads))
    assert len(found) == 1


def test_another_process_gives_the_same_bytes() -> None:
    path = os.pathsep.join(map(str, (REPOSITORY, Path(january.__file__).parent)))
    asked = "import january; print(january.digest_of_training())"
    done = run_command(
        [sys.executable, "-c", asked], {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    )
    assert done.stdout.strip() == january.digest_of_training(), done.stderr


def test_rounds_are_told_as_they_are_done() -> None:
    told: list[int] = []
    train(january.project(rounds=3), january.january(), told.append)
    assert told == [1, 2, 3]


def test_categories_are_sorted_whatever_the_order_of_the_rows() -> None:
    rows = january.january()
    found = categories(rows)
    assert found["origin"] == ["EWR", "JFK", "LGA"]
    assert found["distance"] is None
    for name, values in found.items():
        if values is not None:
            assert values == sorted(set(rows.features[name].to_pylist())), name
    order = np.random.default_rng(0).permutation(len(rows.label))
    assert categories(reordered(rows, order)) == found
    assert categories(reordered(rows, np.arange(len(rows.label))[::-1])) == found


def test_a_null_is_a_missing_value_and_not_a_category() -> None:
    rows = january.january()
    carrier = rows.features["carrier"].to_pylist()
    holes = pa.array([None if n % 7 == 0 else value for n, value in enumerate(carrier)])
    index = rows.features.column_names.index("carrier")
    with_holes = replace(rows, features=rows.features.set_column(index, "carrier", holes))
    assert categories(with_holes)["carrier"] == sorted(set(holes.drop_null().to_pylist()))


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_one_class_is_refused(label: float) -> None:
    rows = replace(january.january(), label=np.full(len(january.january().label), label))
    with pytest.raises(UnfitTrainingDataError) as refusal:
        train(january.project(), rows, lambda _: None)
    assert str(refusal.value) == (
        f"Every one of the {len(rows.label)} rows has the label {label:g}; a classifier needs both"
        " classes. Choose a longer window"
    )


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), 1e300])
def test_an_infinite_number_is_refused(number: float) -> None:
    rows = january.january()
    column = [number, *rows.features["distance"].to_pylist()[1:]]
    index = rows.features.column_names.index("distance")
    broken = replace(rows, features=rows.features.set_column(index, "distance", pa.array(column)))
    with pytest.raises(UnfitTrainingDataError, match="'distance' holds a number that is infinite as float32"):
        train(january.project(), broken, lambda _: None)


def test_a_sample_is_the_same_rows_for_the_same_seed() -> None:
    rows = january.january()
    some = sample_rows(rows, 0.1, seed=1)
    assert len(some.label) == some.features.num_rows == pytest.approx(len(rows.label) / 10, rel=0.1)
    assert some.features.equals(sample_rows(rows, 0.1, seed=1).features)
    assert not some.features.equals(sample_rows(rows, 0.1, seed=2).features)
    assert sample_rows(rows, 1.0, seed=1) is rows


def test_an_empty_sample_is_refused() -> None:
    none = sample_rows(january.january(), 1e-12, seed=1)
    with pytest.raises(UnfitTrainingDataError, match="No row is left of the sample"):
        train(january.project(), none, lambda _: None)
