"""Shares are what was declared, and nobody moves who does not have to."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.routing.buckets import ALL_CHAMPION, BUCKETS, Hasher, quotas, rebalance, runs_of, table_of

KEYS = 1_000_000


@pytest.fixture(scope="module")
def buckets() -> list[int]:
    bucket = Hasher("flight-delay").bucket
    return [bucket(b"passenger-%d" % number) for number in range(KEYS)]


def shares(table: tuple[str, ...], buckets: list[int]) -> dict[str, float]:
    per_bucket = Counter(buckets)
    found: Counter[str] = Counter()
    for number, arm in enumerate(table):
        found[arm] += per_bucket[number]
    return {arm: 100 * count / KEYS for arm, count in found.items()}


@pytest.mark.parametrize(
    "percents", [{"later": 50}, {"later": 10}, {"later": 10, "other": 30.25}, {"a": 1, "b": 2, "c": 0.5}]
)
def test_over_a_million_keys_shares_are_within_a_fifth_of_a_percent_of_the_weights(
    percents: dict[str, float], buckets: list[int]
) -> None:
    found = shares(rebalance(ALL_CHAMPION, quotas(percents)), buckets)
    expected = {"champion": 100 - sum(percents.values()), **percents}
    for arm, percent in expected.items():
        assert abs(found[arm] - percent) <= 0.2


def test_from_90_10_to_80_20_a_tenth_of_the_keys_moves_and_no_others(buckets: list[int]) -> None:
    before = rebalance(ALL_CHAMPION, quotas({"later": 10}))
    after = rebalance(before, quotas({"later": 20}))
    moved = Counter((before[bucket], after[bucket]) for bucket in buckets if before[bucket] != after[bucket])
    assert set(moved) == {("champion", "later")}
    assert abs(100 * moved.total() / KEYS - 10) <= 0.2


def test_of_three_arms_only_those_move_whose_share_changes(buckets: list[int]) -> None:
    before = rebalance(ALL_CHAMPION, quotas({"a": 20, "b": 20}))
    after = rebalance(before, quotas({"a": 30, "b": 10}))
    moved = Counter((before[bucket], after[bucket]) for bucket in buckets if before[bucket] != after[bucket])
    assert set(moved) == {("b", "a")}
    assert abs(100 * moved.total() / KEYS - 10) <= 0.2


def test_two_models_try_on_different_people() -> None:
    one, other = Hasher("flight-delay"), Hasher("diamond-price")
    keys = [b"passenger-%d" % number for number in range(20_000)]
    both = sum(one.bucket(key) < BUCKETS // 10 and other.bucket(key) < BUCKETS // 10 for key in keys)
    assert 140 < both < 260  # a hundredth of them, as chance has it


def test_an_entity_has_the_same_bucket_everywhere_and_for_good() -> None:
    # Fixed: with another hash, everybody would change arms on an upgrade.
    assert [Hasher("flight-delay").bucket(key) for key in (b"N14229", b"a", b"\xff" * 300)] == [
        6646,
        6850,
        7806,
    ]


ARMS = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 2500), max_size=4)


@given(st.lists(ARMS, min_size=1, max_size=5))
def test_every_change_of_shares_moves_the_fewest_buckets(changes: list[dict[str, int]]) -> None:
    table = ALL_CHAMPION
    for change in changes:
        counts = {"champion": BUCKETS - sum(change.values()), **change}
        before, table = table, rebalance(table, counts)
        has, had = Counter(table), Counter(before)
        assert has == Counter({arm: count for arm, count in counts.items() if count})
        fewest = sum((had - has).values())
        assert sum(one != other for one, other in zip(before, table, strict=True)) == fewest
        assert table_of(runs_of(table)) == table
        assert rebalance(table, counts) == table


@pytest.mark.parametrize("counts", [{}, {"champion": BUCKETS - 1}, {"champion": BUCKETS + 1, "a": -1}])
def test_counts_that_are_not_those_of_all_buckets_are_refused(counts: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="do not add up to 10000 buckets"):
        rebalance(ALL_CHAMPION, counts)


def test_shares_beyond_the_whole_are_refused() -> None:
    with pytest.raises(ValueError, match="are not shares of 100 percent"):
        quotas({"a": 60, "b": 50})


@pytest.mark.parametrize("runs", [[], [("a", BUCKETS + 1)], [("a", 0)], [("a", True)], [(1, BUCKETS)]])
def test_what_is_no_table_is_refused(runs: list[tuple[str, int]]) -> None:
    with pytest.raises(ValueError, match="buckets"):
        table_of(runs)
