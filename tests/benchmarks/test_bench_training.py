"""The benchmark of training: its rows are many and each its own, and it measures the process it names."""

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.training_figures import Figures, Peaks, as_json, is_held, print_table
from benchmarks.training_flights import repeated
from benchmarks.training_peak import MeasurementError, run_measured
from projects.rows.delivery import Delivery

MIB = 2**20
FEATURES = pa.table({"id": ["a", "b"], "origin": ["JFK", None], "temp": [50.0, None], "precip": [0.0, 1.0]})
OUTCOMES = pa.table({"id": pa.array(["b", "a"], pa.large_string()), "arr_delay": [None, 30.0]})


def many(seed: int = 0) -> Delivery:
    [found] = repeated(iter([Delivery("2013-01-01", FEATURES, OUTCOMES)]), 10, "id", seed)
    return found


def test_rows_are_repeated_with_keys_of_their_own() -> None:
    found = many()
    assert found.outcomes is not None
    for table, source in ((found.features, FEATURES), (found.outcomes, OUTCOMES)):
        assert len(table) == 20
        assert len(set(table["id"].to_pylist())) == 20
        assert table.schema == source.schema
        assert table.slice(0, 2) == source
    assert set(found.features["id"].to_pylist()) == set(found.outcomes["id"].to_pylist())


def test_numbers_are_jittered_and_nothing_else() -> None:
    rows = many().features.to_pandas()
    temp = rows["temp"].dropna().to_numpy()
    assert len(temp) == len(np.unique(temp)) == 10
    assert np.abs(temp / 50 - 1).max() < 0.1
    assert rows["temp"].isna().sum() == 10
    assert (rows["precip"][::2] == 0).all()
    assert rows["origin"].dropna().unique().tolist() == ["JFK"]


def test_the_same_seed_gives_the_same_rows() -> None:
    assert many(1).features == many(1).features
    assert many(1).features != many(2).features


def test_the_peak_is_that_of_the_named_process(tmp_path: Path) -> None:
    code = "import time; found = bytearray(64 * 2**20); del found; time.sleep(0.3); print('done')"
    command = [
        sys.executable,
        "-c",
        f"import subprocess; subprocess.run([{sys.executable!r}, '-c', {code!r}])",
    ]
    peak, said = run_measured(command, {}, tmp_path, ("-c", code))
    assert said == "done\n"
    assert 64 * MIB < peak < 128 * MIB
    with pytest.raises(MeasurementError, match="no process with the arguments 'other words' was seen"):
        run_measured([sys.executable, "-c", ""], {}, tmp_path, ("other", "words"))
    with pytest.raises(MeasurementError, match="ended with exit code 1: no rows"):
        run_measured([sys.executable, "-c", "raise SystemExit('no rows')"], {}, tmp_path, ())


@pytest.mark.parametrize(
    ("year", "same", "held"), [(330, True, True), (331, True, False), (330, False, False)]
)
def test_what_holds(year: int, *, same: bool, held: bool, capsys: pytest.CaptureFixture[str]) -> None:
    ours = Peaks(280 * MIB, 300 * MIB, year * MIB)
    found = Figures(10, 3_000_000, ours, ours, Peaks(200 * MIB, 220 * MIB, 300 * MIB), same)
    assert is_held(found) == held
    assert json.loads(as_json(found))["growth_ratio_first"] == (year - 280) / 100
    print_table(found)
    said = "the same booster" if same else "NOT the same booster"
    assert said in capsys.readouterr().out
