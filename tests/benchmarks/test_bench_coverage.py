"""The benchmark of intervals: what it simulates, and that it counts what it says."""

import json

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.coverage import Coverage, is_held
from benchmarks.coverage_days import simulate, truth


def test_equal_models_differ_row_by_row_and_not_in_quality() -> None:
    days = simulate(np.random.default_rng(0), 400, equal=True)
    for task in ("classification", "regression"):
        assert not np.isclose(days.candidate[task], days.champion[task]).all()
    _, ours, theirs = days.of("rmse")
    errors = [np.sqrt(np.mean((predicted - days.minutes) ** 2)) for predicted in (ours, theirs)]
    assert errors[0] == pytest.approx(errors[1], rel=0.02)


def test_the_better_model_is_better_in_truth() -> None:
    candidate, champion = truth()
    assert candidate["auc"] > champion["auc"]
    assert candidate["log_loss"] < champion["log_loss"]
    # Spread that neither model can know: 1 of the row, 0.25 of the day; then its own noise and shift.
    assert candidate["rmse"] == pytest.approx(np.sqrt(1 + 0.25 + 0.36 + 0.09), rel=0.005)
    assert champion["rmse"] == pytest.approx(np.sqrt(1 + 0.25 + 0.64 + 0.09), rel=0.005)


@pytest.mark.parametrize(
    ("single", "paired", "called_better", "held"),
    [(0.93, 0.97, 0.05, True), (0.92, 0.95, 0.0, False), (0.95, 0.98, 0.0, False), (0.95, 0.95, 0.06, False)],
)
def test_what_holds(single: float, paired: float, called_better: float, *, held: bool) -> None:
    assert is_held([Coverage("auc", 31, single, paired, called_better)]) == held


def test_the_last_line_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["coverage", "--repetitions", "2"])
    written = capsys.readouterr().out.splitlines()
    found = json.loads(written[-1])
    assert code == (0 if found["is_held"] else 1)
    assert [(f["days"], f["metric"]) for f in found["figures"]] == [
        (days, metric) for days in (31, 90) for metric in ("auc", "log_loss", "rmse")
    ]
    assert found["repetitions"] == 2
    assert "in 2 simulated windows" in written[0]
    assert main(["coverage", "--repetitions", "2", "--json"]) == code
    [line] = capsys.readouterr().out.splitlines()
    assert json.loads(line)["figures"] == found["figures"]
