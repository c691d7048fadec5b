"""The benchmark of AUC: its rows are those of the introduction, and it says what holds."""

import json

import pytest

from benchmarks.reference_figures import Found, as_json, is_held, print_table
from benchmarks.reference_flights import FEATURES, LABEL, LATE, ROWS, read_flights, split


def test_the_rows_are_those_of_the_introduction() -> None:
    flights = read_flights()
    assert (len(flights), int(flights[LABEL].sum())) == (ROWS, LATE)
    assert not flights.isna().any().any()
    assert set(flights.columns) == {*FEATURES, LABEL}
    assert (flights["dest"].nunique(), flights["carrier"].nunique()) == (104, 16)
    # 17 of the 18 US holidays were in 2013, and most days are none.
    assert flights["holiday"].nunique() == 18
    assert (flights["holiday"] == "none").mean() > 0.9

    both = split(flights, 1)
    assert len(both.test) == 81_455  # as the introduction says
    assert not set(both.train.index) & set(both.test.index)
    assert len(both.train) + len(both.test) == ROWS
    assert split(flights, 1).test.equals(both.test)
    assert not split(flights, 2).test.equals(both.test)


@pytest.mark.parametrize(
    ("logistic", "ours", "held"), [(0.766, 0.84, True), (0.78, 0.84, False), (0.764, 0.76, False)]
)
def test_what_holds(logistic: float, ours: float, *, held: bool, capsys: pytest.CaptureFixture[str]) -> None:
    found = [Found(0, logistic, ours), Found(1, logistic, 0.9)]
    assert is_held(found) == held
    assert json.loads(as_json(found))["least_auc"] == ours
    print_table(found)
    assert "0.764" in capsys.readouterr().out
