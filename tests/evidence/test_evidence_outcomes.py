"""Outcomes: one value for a key or none, every row counted, in whatever order they come."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence import settle

REPORTS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c", "", "é", "a\0", None, float("nan")]),
        st.sampled_from([0.0, -0.0, 1.0, 2.5, float("nan"), float("inf"), float("-inf")]),
    ),
    max_size=25,
)


def settled(reports: list[tuple[Any, float]]) -> Any:
    keys = np.empty(len(reports), np.object_)
    keys[:] = [key for key, _ in reports]
    return settle(keys, np.array([value for _, value in reports], np.float64))


def test_each_kind_of_report_is_counted() -> None:
    nan = float("nan")
    found = settled([("b", 1), ("a", 0), ("b", 1), ("c", 1), ("c", 0), ("c", 1), ("d", nan), (None, 1)])
    assert list(found.keys) == ["a", "b"]
    assert list(found.values) == [0.0, 1.0]
    assert list(found.contradicted_keys) == ["c"]
    assert found.counts == {"received": 8, "settled": 2, "repeated": 1, "contradicted": 3, "unusable": 2}


def test_a_value_that_is_no_number_contradicts_nothing() -> None:
    found = settled([("a", float("nan")), ("a", 1.0), ("a", float("inf"))])
    assert dict(zip(found.keys, found.values, strict=True)) == {"a": 1.0}
    assert found.counts["unusable"] == 2


@given(REPORTS, st.randoms(use_true_random=False))
def test_it_is_what_a_dictionary_of_sets_says_in_whatever_order(reports: Any, random: Any) -> None:
    expected: dict[str, set[float]] = {}
    for key, value in reports:
        if isinstance(key, str) and np.isfinite(value):
            expected.setdefault(key, set()).add(value)
    random.shuffle(reports)
    found = settled(reports)
    assert dict(zip(found.keys, found.values, strict=True)) == {
        key: values.pop() for key, values in sorted(expected.items()) if len(values) == 1
    }
    counts = dict(found.counts)
    assert counts.pop("received") == sum(counts.values()) == len(reports)


@pytest.mark.parametrize("kind", [np.str_, np.int64])
def test_keys_of_other_types_are_settled_too(kind: Any) -> None:
    found = settle(np.array([2, 1, 2], kind), np.array([1.0, 0.0, 1.0]))
    assert list(found.keys) == list(np.array([1, 2], kind))
    assert found.keys.dtype.kind == np.dtype(kind).kind


def test_no_report_at_all_is_no_outcome() -> None:
    assert settled([]).counts["settled"] == 0


def test_keys_without_values_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"keys of shape \(2,\) and values of \(1,\), expected \(rows,\) of both"
    ):
        settle(np.array(["a", "b"]), np.array([1.0]))
