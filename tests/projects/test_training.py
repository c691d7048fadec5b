"""Training: the same bytes for the same rows and seed, and clear refusals."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import january
import numpy as np
import pyarrow as pa
import pytest
import xgboost as xgb
from commands import REPOSITORY, run_command

from projects.errors import DeclarationError, ProjectError, UnfitTrainingDataError
from projects.rows.labelling import LABEL
from projects.training import refuse_unused, sampled, train


def trained(rows: pa.Table, **changed: object) -> bytes:
    booster = train(january.project(**changed), january.rows_of(rows), lambda _: None)
    return bytes(booster.save_raw("ubj"))


def categories(rows: pa.Table) -> dict[str, list[str] | None]:
    booster = train(january.project(rounds=1), january.rows_of(rows), lambda _: None)
    found = dict(booster.get_categories(export_to_arrow=True).to_arrow())
    return {name: None if values is None else values.to_pylist() for name, values in found.items()}


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


def test_a_second_clone_gives_the_same_bytes(tmp_path: Path) -> None:
    # The files that git knows of, and nothing that lies about in this one.
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in run_command(listed, os.environ).stdout.split("\0"):
        if (REPOSITORY / name).is_file():
            copy = tmp_path / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(REPOSITORY / name, copy)
    asked = "import january, projects; print(projects.__file__, january.digest_of_training())"
    done = subprocess.run(
        [sys.executable, "-c", asked],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "tests/projects")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    here = str(tmp_path / "projects/__init__.py")
    assert done.stdout.split() == [here, january.digest_of_training()], done.stderr


def test_rounds_are_told_as_they_are_done() -> None:
    told: list[int] = []
    train(january.project(rounds=3), january.rows_of(january.january()), told.append)
    assert told == [1, 2, 3]


def test_categories_are_sorted_whatever_the_order_of_the_rows() -> None:
    rows = january.january()
    found = categories(rows)
    assert found["origin"] == ["EWR", "JFK", "LGA"]
    assert found["distance"] is None
    for name, values in found.items():
        if values is not None:
            assert values == sorted(set(rows[name].to_pylist())), name
    order = np.random.default_rng(0).permutation(len(rows))
    assert categories(rows.take(pa.array(order))) == found
    assert categories(rows.take(pa.array(order[::-1]))) == found


def test_a_null_is_a_missing_value_and_not_a_category() -> None:
    rows = january.january()
    carrier = rows["carrier"].to_pylist()
    holes = pa.array([None if n % 7 == 0 else value for n, value in enumerate(carrier)])
    with_holes = rows.set_column(rows.column_names.index("carrier"), "carrier", holes)
    assert categories(with_holes)["carrier"] == sorted(set(holes.drop_null().to_pylist()))


def labelled(label: np.ndarray) -> pa.Table:
    rows = january.january()
    return rows.set_column(rows.column_names.index(LABEL), LABEL, pa.array(label))


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_one_class_is_refused(label: float) -> None:
    count = len(january.january())
    with pytest.raises(UnfitTrainingDataError) as refusal:
        trained(labelled(np.full(count, label)))
    assert str(refusal.value) == (
        f"Every one of the {count} rows has the label {label:g}; a classifier needs both"
        " classes. Choose a longer window"
    )


def test_labels_of_another_kind_are_refused() -> None:
    label = np.arange(len(january.january()), dtype=float)
    with pytest.raises(UnfitTrainingDataError, match=r"go from 0 to 26\d*; binary:logistic expects 0 and 1"):
        trained(labelled(label))
    numbers = january.project(objective="reg:squarederror")
    assert train(numbers, january.rows_of(labelled(label)), lambda _: None).num_boosted_rounds() == 15
    with pytest.raises(UnfitTrainingDataError, match="has the label 3; labels must differ"):
        train(numbers, january.rows_of(labelled(np.full(len(label), 3.0))), lambda _: None)


def test_batches_give_what_one_table_gives() -> None:
    rows = january.january()
    at_once = train(january.project(), january.rows_of(rows), lambda _: None)
    parts = [rows.slice(start, 10_000) for start in range(0, len(rows), 10_000)]
    in_parts = train(january.project(), lambda: iter(parts), lambda _: None)
    assert at_once.num_boosted_rounds() == in_parts.num_boosted_rounds()
    again = train(january.project(), lambda: iter(parts), lambda _: None)
    assert again.save_raw("ubj") == in_parts.save_raw("ubj")
    assert dict(in_parts.get_categories(export_to_arrow=True).to_arrow()) == dict(
        at_once.get_categories(export_to_arrow=True).to_arrow()
    )


def test_a_sample_is_the_same_rows_for_the_same_seed() -> None:
    rows = january.rows_of(january.january())
    some = sampled(rows, 0.1, seed=1)
    (found,) = some()
    assert len(found) == pytest.approx(len(january.january()) / 10, rel=0.1)
    assert next(some()).equals(found)
    assert not next(sampled(rows, 0.1, seed=2)()).equals(found)
    assert sampled(rows, 1.0, seed=1) is rows


@pytest.mark.parametrize(
    ("parameters", "kind", "said"),
    [
        (
            {"max_dept": 3, "eta": 0.1},
            DeclarationError,
            (
                "projects/flight_delay/project.yaml: parameters: XGBoost does not use max_dept with"
                " binary:logistic; correct the name, or take it out"
            ),
        ),
        (
            {"max_depth": "deep"},
            ProjectError,
            (
                "XGBoost refuses the parameters {'max_depth': 'deep'}: Invalid Parameter format for max_depth"
                " expect int but value='deep'"
            ),
        ),
    ],
)
def test_parameters_that_would_be_passed_over_or_refused_are_named(
    parameters: dict[str, float | str], kind: type[ProjectError], said: str
) -> None:
    with pytest.raises(kind) as refusal:
        refuse_unused(january.project(), parameters)
    assert str(refusal.value) == said


def test_an_empty_sample_is_refused() -> None:
    none = sampled(january.rows_of(january.january()), 1e-12, seed=1)
    with pytest.raises(UnfitTrainingDataError, match="No row is left of the sample"):
        train(january.project(), none, lambda _: None)
