"""Limits: what is published, what people are warned of, and what stops."""

from __future__ import annotations

import math

import pytest
from tallies import result

from batch_jobs.errors import JobFileError, UnfitDataError
from batch_jobs.job import parse_limits
from batch_jobs.limits import Band, Limits

SHARE = Band((0, 0.05), (0, 0.2))
WEEK = (900, 1000, 1100, 1000, 1000, 500, 5000)


def test_a_few_bad_rows_are_nobodys_concern() -> None:
    assert Limits(SHARE).judge(result(scored=95, quarantined=5), ()) == ()


def test_more_than_that_is_told_with_the_reasons() -> None:
    [said] = Limits(SHARE).judge(result(scored=90, quarantined=10, reasons={"temp is null": 10}), ())
    assert said == "10 of 100 rows are unfit (10%), expected at most 5%. 10 rows: temp is null"


def test_far_more_stops_with_the_place_of_the_first() -> None:
    with pytest.raises(
        UnfitDataError, match=r"21 of 100 rows are unfit .* at most 20%; nothing is published"
    ) as said:
        Limits(SHARE).judge(result(scored=79, quarantined=21, first_bad="position 3 of s3://b/a.csv"), ())
    assert str(said.value).endswith("The first is at position 3 of s3://b/a.csv")


def test_no_row_that_is_fit_is_never_published() -> None:
    with pytest.raises(UnfitDataError, match="4 of 4 rows"):
        Limits(Band((0, 1), (0, 1))).judge(result(scored=0, quarantined=4), ())


def test_no_rows_at_all_stop() -> None:
    with pytest.raises(UnfitDataError, match="0 rows, expected at least 1"):
        Limits(SHARE).judge(result(scored=0, quarantined=0), ())


@pytest.mark.parametrize(("rows", "warns"), [(1000, False), (499, True), (2001, True), (500, False)])
def test_rows_are_held_against_the_median_of_days_before(rows: int, *, warns: bool) -> None:
    limits = Limits(SHARE, Band((0.5, 2), (0.1, 10)))
    said = limits.judge(result(scored=rows, quarantined=0), WEEK)
    assert bool(said) == warns
    if warns:
        assert said[0].endswith(
            " rows, where 1,000 are usual (the median of 7 days before); expected 500 to 2,000"
        )


@pytest.mark.parametrize("rows", [99, 10_001])
def test_rows_that_are_far_from_usual_stop(rows: int) -> None:
    limits = Limits(SHARE, Band((0.5, 2), (0.1, 10)))
    with pytest.raises(UnfitDataError, match="expected 100 to 10,000"):
        limits.judge(result(scored=rows, quarantined=0), WEEK)


def test_two_days_say_nothing_of_what_is_usual() -> None:
    limits = Limits(SHARE, Band((0.5, 2), (0.1, 10)))
    assert limits.judge(result(scored=5, quarantined=0), (1000, 1000)) == ()


def test_a_limit_that_is_a_number_is_where_it_stops() -> None:
    assert parse_limits({"quarantined_share": 0.2}, "here") == Limits(Band((0, 0.2), (0, 0.2)))
    found = parse_limits(
        {"quarantined_share": {"warn": 0.01, "stop": 0.2}, "usual_rows": {"warn": [0.5, 2]}}, "here"
    )
    assert found == Limits(Band((0, 0.01), (0, 0.2)), Band((0.5, 2), (0, math.inf)))


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ({}, "here: the key 'quarantined_share' is missing"),
        ({"quarantined_share": True}, "here: quarantined_share is True, expected 0 to 1"),
        ({"quarantined_share": {"warn": 0.1}}, "here: quarantined_share: the key 'stop' is missing"),
        ({"quarantined_share": {"stop": 2}}, "here: quarantined_share: stop is 2, expected 0 to 1"),
        (
            {"quarantined_share": {"stop": 0.1, "warn": 0.2}},
            "here: quarantined_share: warn is 0.2, expected at most",
        ),
        (
            {"quarantined_share": 0.1, "usual_rows": [0.5, 2]},
            "here: usual_rows: found [0.5, 2], expected keys",
        ),
        (
            {"quarantined_share": 0.1, "usual_rows": {"stop": [2]}},
            "here: usual_rows: stop is [2], expected two",
        ),
        ({"quarantined_share": 0.1, "usual_rows": {"stop": [2, 1]}}, "expected the smaller number first"),
        ({"quarantined_share": 0.1, "usual_row": {}}, "here: unknown key 'usual_row'; known are"),
    ],
)
def test_a_wrong_limit_is_named(found: object, says: str) -> None:
    with pytest.raises(JobFileError) as refused:
        parse_limits(found, "here")
    assert says in str(refused.value)
