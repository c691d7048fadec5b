"""Judging a day as a whole: one that drifted is published with a warning, or stopped, as declared."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from tallies import result
from tiny_model import between, rules_of

from batch_jobs.errors import UnfitDataError
from batch_jobs.job import BatchJob, parse_job
from batch_jobs.judging import judge
from expectations import Tally

if TYPE_CHECKING:
    from pathlib import Path

    from batch_jobs.results import SplitResult
    from batch_jobs.scoring import Rules

OF_PREDICTIONS = [between("prediction", 0, 1)]
DRIFTED = "carrier: divergence from the expected distribution is 1.22, expected at most 0.1"
WEIGHTS = {"AA": 0.5, "B6": 0.3, "UA": 0.2}
JOB = {
    "model": "models:/tiny/Production",
    "input": "rows/date={date}",
    "output": "predictions",
    "row_key": ["id"],
    "suites": {"input": "tiny/input", "predictions": "tiny/predictions"},
    "limits": {"quarantined_share": 0.2},
}


@pytest.fixture(scope="module")
def job() -> BatchJob:
    return parse_job("tiny", JOB)


def close_to_training(severity: str) -> dict[str, Any]:
    """Return an expectation on how often each carrier is there."""
    partition = {"values": list(WEIGHTS), "weights": list(WEIGHTS.values())}
    return {
        "type": "expect_column_kl_divergence_to_be_less_than",
        "kwargs": {"column": "carrier", "partition_object": partition, "threshold": 0.1},
        "severity": severity,
    }


def scored(rules: Rules, *splits: dict[str, int]) -> SplitResult:
    """Return what is known of a day, of whose splits each has so many rows of each carrier."""
    tallies = [
        rules.input.rows(pa.table({"carrier": [c for c, rows in split.items() for _ in range(rows)]})).tally
        for split in splits
    ]
    whole = reduce(Tally.merge, tallies)
    return replace(result(scored=whole.rows, quarantined=0), input=whole)


@pytest.mark.parametrize("severity", ["critical", "warning"])
def test_splits_that_differ_are_no_drift_where_the_day_does_not(
    job: BatchJob, tmp_path: Path, severity: str
) -> None:
    rules = rules_of(tmp_path, [close_to_training(severity)], OF_PREDICTIONS)
    assert judge(job, rules, scored(rules, {"AA": 50}, {"B6": 30, "UA": 20}), ()) == ()


def test_a_day_that_drifted_is_told(job: BatchJob, tmp_path: Path) -> None:
    rules = rules_of(tmp_path, [close_to_training("warning")], OF_PREDICTIONS)
    [said] = judge(job, rules, scored(rules, {"AA": 5, "B6": 3}, {"UA": 92}), ())
    assert said == DRIFTED


def test_a_day_that_drifted_is_stopped_where_the_suite_says_so(job: BatchJob, tmp_path: Path) -> None:
    rules = rules_of(tmp_path, [close_to_training("critical")], OF_PREDICTIONS)
    with pytest.raises(UnfitDataError, match="The batch is unfit, and nothing is published") as said:
        judge(job, rules, scored(rules, {"AA": 5, "B6": 3}, {"UA": 92}), ())
    assert DRIFTED in str(said.value)
