"""The benchmark of batch scoring: what it compares, what it takes for broken, and that it measures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from commands import REPOSITORY
from matplotlib.image import imread

from benchmarks.batch_figures import Figures, Size, as_json, broken, print_tables

MIB = 2**20


def size(millions: int, mib: int, start_up_s: float = 9.0) -> Size:
    return Size(millions * 1_000_000, 1000, 2.0 * millions, start_up_s, mib * MIB)


def figures(*sizes: Size, **speeds: float) -> Figures:
    # Rounds of a slow machine, and of one that is twice as slow: the ratios are the same.
    once = {"greenroom": 80.0, "limit": 100.0, **speeds}
    return Figures(1, (once, {way: speed / 2 for way, speed in once.items()}), sizes, {})


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (figures(size(3, 700), size(30, 769), spark_udf=20.0, daft=80.0, polars=79.0), []),
        (figures(greenroom=74.0), ["0.74 times the speed of XGBoost alone"]),
        (figures(spark_udf=25.0), ["3.20 times the speed of mlflow.pyfunc.spark_udf; expected at least 3.5"]),
        (
            figures(daft=100.0, polars=90.0),
            ["0.80 times the speed of Daft", "0.89 times the speed of Polars"],
        ),
        (figures(greenroom_ray=71.0), ["0.89 times our own speed through Ray; expected at least 0.9"]),
        (figures(size(3, 700), size(30, 800)), ["1.14 times the memory on 30 million rows; expected 1.1"]),
        (figures(size(10, 1025)), ["1,025 MiB on 10,000,000 rows; expected 1,024 at most"]),
        (figures(size(1, 700, 15.2)), ["15.2 s from the command to the first row; expected 15 at most"]),
    ],
)
def test_what_was_promised_and_is_not_held_is_said(
    found: Figures, says: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    sentences = broken(found)
    assert len(sentences) == len(says)
    assert all(sentence.startswith(start) for sentence, start in zip(sentences, says, strict=True))
    assert json.loads(as_json(found))["broken"] == sentences
    print_tables(found)
    shown = " ".join(capsys.readouterr().out.split())
    assert all(f"Not held: {sentence}" in shown for sentence in sentences)


def test_a_way_that_was_not_measured_is_no_figure() -> None:
    found = Figures(1, ({"greenroom": 80.0, "limit": 100.0},), (), {"daft": "No module named 'daft'"})
    plain = json.loads(as_json(found))
    assert (plain["share_of_limit"], plain["ratio_to_daft"], plain["peak_rss_mib_30m"]) == (0.8, None, None)
    assert plain["unable"] == {"daft": "No module named 'daft'"}


def test_a_round_on_few_rows_ends_with_one_json_object(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "batch", "--millions", "0.02", "--rounds", "1"]
    done = subprocess.run(
        [*command, "--growth", "0.02", "--picture", str(tmp_path / "memory.png")],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    *tables, last = done.stdout.splitlines()
    found = json.loads(last)
    assert found["unable"] == {}, done.stderr
    # So few rows cannot be scored at the speed of the trees: it takes longer to begin and to commit.
    assert done.returncode == 1
    assert any("times the speed of XGBoost alone" in line for line in tables)
    rates = {way: rate for way, rate in found["rows_per_second"].items() if rate is not None}
    assert set(rates) == {"greenroom", "limit", "by_hand", "pyfunc"}
    assert 0 < found["share_of_limit"] < 0.75
    [grown] = found["growth"]
    assert grown["rows"] == 20_000
    assert 1 <= grown["quarantined"] <= 60
    assert 100 * MIB < grown["peak_bytes"] < 2000 * MIB
    assert imread(tmp_path / "memory.png").shape[:2] == (450, 800)


def test_millions_are_a_number_above_nothing() -> None:
    command = [sys.executable, "-m", "benchmarks", "batch", "--millions", "0"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "'0' is not a number of millions, above 0" in done.stderr
