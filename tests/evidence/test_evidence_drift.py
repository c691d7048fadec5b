"""Drift: nothing moved is nothing, every value is counted once, and what is kept can be stored as JSON."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence import (
    ColumnReference,
    count_bins,
    jensen_shannon,
    measure_drift,
    psi,
    refer_categories,
    refer_numbers,
)

NAN, INF = float("nan"), float("inf")
NUMBERS = st.lists(st.sampled_from([0.0, -1.5, 2.0, 1e300, NAN, INF, -INF]) | st.floats(), max_size=40)
NAMES = st.lists(st.sampled_from(["UA", "AA", "", "é", None]), max_size=40)


def texts(values: Sequence[str | None]) -> Any:
    found = np.empty(len(values), np.object_)
    found[:] = values
    return found


@given(NUMBERS, NUMBERS)
def test_every_number_is_counted_once_and_the_reference_survives_json(values: Any, others: Any) -> None:
    reference = refer_numbers(np.array(values, np.float64))
    assert ColumnReference.of_json(json.loads(json.dumps(reference.as_json(), allow_nan=False))) == reference
    assert reference.missing + sum(reference.bins) == reference.rows == len(values)
    again = count_bins(reference, np.array(values, np.float64))
    assert (tuple(again.bins), again.missing) == (reference.bins, reference.missing)
    one, two = (count_bins(reference, np.array(part, np.float64)) for part in (values, others))
    both = count_bins(reference, np.array(values + others, np.float64))
    assert tuple((one + two).bins) == tuple(both.bins)
    assert (one + two).rows == both.rows == len(values) + len(others)


@given(NAMES, NAMES)
def test_every_category_is_counted_once_and_the_reference_survives_json(values: Any, others: Any) -> None:
    reference = refer_categories(texts(values))
    assert ColumnReference.of_json(json.loads(json.dumps(reference.as_json()))) == reference
    found = count_bins(reference, texts(others))
    assert found.rows == len(others)
    assert found.missing == others.count(None)
    assert found.unseen == sum(value is not None and value not in values for value in others)


def test_bins_are_tenths_and_a_value_that_fills_several_has_one_of_its_own() -> None:
    evenly = refer_numbers(np.random.default_rng(0).permutation(1000).astype(np.float64))
    assert evenly.bins == (100,) * 10
    rain = np.where(np.arange(1000) < 700, 0.0, np.arange(1000) / 1000)
    reference = refer_numbers(rain)
    assert 700 in reference.bins
    below = count_bins(reference, np.array([-0.001] * 5))
    assert below.bins[0] == 5
    constant = refer_numbers(np.full(50, 3.0))
    assert [list(count_bins(constant, np.array([value])).bins) for value in (2.9, 3.0, 3.1)] == [
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
    ]


def test_the_same_rows_have_not_moved_and_others_have() -> None:
    random = np.random.default_rng(0)
    then = random.normal(size=5000)
    reference = refer_numbers(then)
    same = measure_drift(reference, count_bins(reference, then))
    assert (same.psi, same.jensen_shannon, same.missing_difference, same.unseen) == (0, 0, 0, 0)
    moved = measure_drift(reference, count_bins(reference, random.normal(0.5, 1, 2000)))
    assert moved.psi == pytest.approx(0.25, abs=0.05)
    assert moved.psi_by_chance is not None
    assert moved.psi_by_chance < 0.02
    gone = measure_drift(reference, count_bins(reference, np.where(np.arange(100) < 25, NAN, then[:100])))
    assert (gone.missing, gone.missing_difference) == (0.25, 0.25)


def test_by_chance_it_is_as_large_as_is_said_in_five_percent() -> None:
    random = np.random.default_rng(3)
    exceeded = 0
    for _ in range(300):
        reference = refer_numbers(random.normal(size=3000))
        found = measure_drift(reference, count_bins(reference, random.normal(size=300)))
        assert found.psi is not None
        assert found.psi_by_chance is not None
        exceeded += found.psi > found.psi_by_chance
    assert exceeded / 300 == pytest.approx(0.05, abs=0.03)


def test_a_category_that_was_never_seen_is_a_share_and_a_drift() -> None:
    reference = refer_categories(texts(["UA", "AA"] * 500))
    found = measure_drift(reference, count_bins(reference, texts(["UA", "AA", "ZZ", None] * 50)))
    assert found.unseen == pytest.approx(1 / 3)
    assert found.missing == 0.25
    assert found.psi is not None
    assert found.psi > 1


def test_of_too_many_categories_the_rare_ones_are_counted_together() -> None:
    names = [f"tail {n}" for n in range(1500)] + ["tail 0"] * 5
    reference = refer_categories(texts(names))
    assert (len(reference.categories), reference.others) == (1000, 500)
    found = measure_drift(reference, count_bins(reference, texts(names)))
    assert (found.psi, found.unseen) == (0, None)


@pytest.mark.parametrize("then", [[], [NAN, NAN], [1.0, 2.0]])
@pytest.mark.parametrize("now", [[], [NAN], [1.0]])
def test_where_there_is_nothing_nothing_is_said(then: list[float], now: list[float]) -> None:
    reference = refer_numbers(np.array(then))
    found = measure_drift(reference, count_bins(reference, np.array(now)))
    assert found.rows == len(now)
    assert (found.psi is None) == (1.0 not in then or 1.0 not in now)
    assert (found.missing is None) == (not now)


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), min_size=1, max_size=8))
def test_measures_are_symmetric_and_within_their_ends(counts: Any) -> None:
    then, now = (np.array(side) for side in zip(*counts, strict=True))
    assert psi(then, now) == pytest.approx(psi(now, then))
    assert psi(then, now) >= -1e-12
    assert jensen_shannon(then, now) == pytest.approx(jensen_shannon(now, then), abs=1e-12)
    assert -1e-12 <= jensen_shannon(then, now) <= 1
    assert psi(then, then) == jensen_shannon(now, now) == 0


def test_opposites_are_nearly_one_bit_apart() -> None:
    assert jensen_shannon(np.array([10**6, 0]), np.array([0, 10**6])) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rows": 7}, "a column reference of 7 rows with 10 bins of 50 rows, expected 10 bins of all rows"),
        ({"bins": [50]}, "with 1 bins of 50 rows, expected 10 bins"),
        ({"edges": [3.0] * 9}, "by rising edges; make it again"),
        ({"model": "later"}, "found the keys .*'model'.* of a column reference, expected"),
    ],
)
def test_what_was_written_by_somebody_else_is_refused(change: Any, said: str) -> None:
    written = refer_numbers(np.arange(50.0)).as_json()
    with pytest.raises(ValueError, match=said):
        ColumnReference.of_json(written | change)
