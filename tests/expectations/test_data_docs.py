"""Of each expectation a stream says what Great Expectations says of the whole; and its pages say it."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from expectations import Inspector, Severity, Suite
from expectations.checks import _validate, declare
from expectations.data_docs import write_site
from expectations.frames import to_frame
from expectations.streaming.outcomes import outcomes
from expectations.suite import Expectation

if TYPE_CHECKING:
    from pathlib import Path

NAN = float("nan")
ROWS = 300
TABLE = pa.table(
    {
        "id": [f"k{n % 299}" for n in range(ROWS)],
        "carrier": [("AA", "UA", "B6", None)[n % 4] for n in range(ROWS)],
        "temp": [float(n % 90) for n in range(ROWS - 2)] + [1e9, NAN],
        "seats": [n % 7 for n in range(ROWS)],
    }
)
BINS = {"bins": [0, 30, 60, 90], "weights": [0.3, 0.3, 0.3], "tail_weights": [0.05, 0.05]}


def expect(kind: str, **kwargs: Any) -> Expectation:
    return Expectation(f"expect_{kind}", kwargs, Severity.CRITICAL, {})


EXPECTATIONS = [
    expect("column_values_to_not_be_null", column="carrier"),
    expect("column_values_to_not_be_null", column="id"),
    expect("column_values_to_be_in_set", column="carrier", value_set=["AA", "UA"]),
    expect("column_values_to_be_in_set", column="carrier", value_set=["AA", "UA"], mostly=0.5),
    expect("column_values_to_be_between", column="temp", min_value=0, max_value=120),
    expect("column_values_to_be_between", column="temp", min_value=0, max_value=120, mostly=0.99),
    expect("column_mean_to_be_between", column="seats", min_value=2, max_value=4),
    expect("column_max_to_be_between", column="temp", max_value=100),
    expect("column_unique_value_count_to_be_between", column="seats", max_value=5),
    expect("column_distinct_values_to_be_in_set", column="carrier", value_set=["AA", "UA", "B6"]),
    expect("column_proportion_of_non_null_values_to_be_between", column="carrier", min_value=0.7),
    expect("column_kl_divergence_to_be_less_than", column="temp", partition_object=BINS, threshold=0.1),
    expect(
        "column_kl_divergence_to_be_less_than",
        column="carrier",
        partition_object={"values": ["AA", "UA", "B6"], "weights": [0.8, 0.1, 0.1]},
        threshold=0.1,
    ),
    expect("table_row_count_to_be_between", min_value=1, max_value=200),
    expect("table_columns_to_match_set", column_set=["id", "carrier"], exact_match=False),
    expect("column_to_exist", column="seats"),
]
COUNTED = ("element_count", "missing_count", "unexpected_count", "unexpected_percent", "observed_value")


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return Suite("flights/input", tmp_path / "s.json", "d" * 64, tuple(EXPECTATIONS))


def test_each_outcome_is_great_expectations_own(suite: Suite) -> None:
    inspector = Inspector.of(suite)
    tally = inspector.rows(TABLE.slice(0, 100)).tally.merge(inspector.rows(TABLE.slice(100)).tally)
    declared = [declare(suite, position) for position in range(len(EXPECTATIONS))]
    results = _validate(to_frame(TABLE), declared)
    for position, outcome in enumerate(outcomes(inspector, tally)):
        result = results[position]
        assert outcome.met == result.success, outcome.expectation
        for name in COUNTED:
            if name not in outcome.result or result.result.get(name) is None:
                continue
            theirs, ours = result.result[name], outcome.result[name]
            if isinstance(theirs, list | dict):
                assert sorted(map(str, theirs)) == sorted(map(str, ours))
            else:
                assert ours == pytest.approx(theirs), outcome.expectation


def test_a_site_tells_what_was_met_and_what_was_not(suite: Suite, tmp_path: Path) -> None:
    inspector = Inspector.of(suite)
    tally = inspector.rows(TABLE).tally
    write_site(
        tmp_path / "site", "2024-01-01-abc", dt.datetime(2024, 1, 2, tzinfo=dt.UTC), [(inspector, tally)]
    )
    index = (tmp_path / "site/index.html").read_text()
    [link] = re.findall(r'<li><a href="([^"]+)">flights\.input</a>: not met</li>', index)
    [page] = (tmp_path / "site/validations/flights/input").rglob("*.html")
    assert tmp_path / "site" / link == page
    text = page.read_text()
    met = [outcome.met for outcome in outcomes(inspector, tally)]
    shown = re.findall(r'<i class="fas (fa-check-circle|fa-times) text-(?:success|danger)"', text)
    # One for each, and one for all.
    assert (shown.count("fa-check-circle"), shown.count("fa-times")) == (
        met.count(True),
        met.count(False) + 1,
    )
    assert "KL Divergence: " in text
    assert '.fa-times::before { content: "\\2718"' in text


def test_a_column_that_is_missing_is_said_to_be(suite: Suite, tmp_path: Path) -> None:
    inspector = Inspector.of(suite)
    tally = inspector.rows(TABLE.drop_columns(["temp"])).tally
    write_site(tmp_path / "site", "run", dt.datetime.now(dt.UTC), [(inspector, tally)])
    [page] = (tmp_path / "site/validations/flights/input").rglob("*.html")
    assert (
        "column &#x27;temp&#x27; is missing" in page.read_text()
        or "column 'temp' is missing" in page.read_text()
    )


def test_no_rows_meet_nothing(suite: Suite) -> None:
    inspector = Inspector.of(suite)
    assert not any(outcome.met for outcome in outcomes(inspector, inspector.empty))
