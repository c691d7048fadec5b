"""However a table is cut into batches, a stream says what Great Expectations says of the whole."""

import datetime as dt
import json
import math
import os
import random
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations import Expectation, Inspector, Report, RowFailure, Severity, Suite, Tally, check

EXAMPLES = 1000 if os.environ.get("GREENROOM_EXHAUSTIVE") else 25

SET = ["a", "b\n", "é", "", 1, 2.0, -0.0, 1e300, None]
TEXTS = ["a", "b", "ab", "b\n", "é", "", "٣", "a b", "7", "7.0"]
PATTERNS = [
    *(r"^\d+\.0$", r"a$", r"\w", r"\s", r"(?<!b)7", r"^(a|b)", r"^(?:a|é)*$", "", r"inf|e\+", r"-0", r"^.$"),
    *(r"(.)\1", r"\Aa\Z", r"[^a]", r"(?i)A", r"\p{Lu}"),
]


def expect(kind: str, severity: str = "critical", **kwargs: Any) -> Expectation:
    return Expectation(f"expect_{kind}", kwargs, Severity(severity), {})


def make(kind: str, **kwargs: st.SearchStrategy[Any]) -> st.SearchStrategy[Expectation]:
    """An expectation of one type; a keyword that is drawn as None is left out."""
    return st.builds(
        lambda severity, drawn: expect(kind, severity, **{k: v for k, v in drawn.items() if v is not None}),
        st.sampled_from(["critical", "critical", "warning", "info"]),
        st.fixed_dictionaries(kwargs),
    )


maybe = st.none() | st.booleans()
mostly = st.sampled_from([None, None, 0, 0.5, 0.9, 1])
number = st.integers(-3, 4) | st.sampled_from([-2.5, 0.1, 1e30])
low, high = st.integers(-4, 1), st.integers(1, 4) | st.sampled_from([2.5, 1e30])
bounds = {"min_value": low, "max_value": st.none() | high, "strict_min": maybe, "strict_max": maybe}
counts = {**bounds, "min_value": st.integers(0, 2), "max_value": st.none() | st.integers(2, 4)}


def column(names: str) -> st.SearchStrategy[str]:
    return st.sampled_from(names)


on_rows = st.one_of(
    make("column_values_to_not_be_null", column=column("fgqikstdbw"), mostly=mostly),
    make("column_values_to_be_null", column=column("fgqikstdbw"), mostly=mostly),
    make("column_values_to_be_between", column=column("fgqikn"), mostly=mostly, **bounds),
    make("column_values_to_be_between", column=column("fgi"), max_value=number, strict_max=maybe),
    make("column_values_to_be_in_set", column=column("fgqiknst"), value_set=st.lists(st.sampled_from(SET))),
    make("column_values_to_not_be_in_set", column=column("fikst"), value_set=st.lists(st.sampled_from(SET))),
    make("column_values_to_match_regex", column=column("fgikst"), regex=st.sampled_from(PATTERNS)),
    make("column_values_to_not_match_regex", column=column("fgist"), regex=st.sampled_from(PATTERNS)),
    make("column_value_lengths_to_equal", column=column("fgist"), value=st.sampled_from([1, 2.0, 3])),
    make("column_value_lengths_to_be_between", column=column("fgist"), mostly=mostly, **counts),
    st.sampled_from(["fg", "gf", "fq", "fn", "nm", "st", "ss"]).flatmap(
        lambda pair: make(
            "column_pair_values_a_to_be_greater_than_b",
            column_A=st.just(pair[0]),
            column_B=st.just(pair[1]),
            or_equal=maybe,
            mostly=mostly,
        )
    ),
    st.tuples(
        st.sampled_from(["fg", "fq", "fn", "nm", "st"]),
        st.sampled_from([None, "both_values_are_missing", "either_value_is_missing", "neither"]),
    ).flatmap(
        lambda drawn: make(
            "column_pair_values_to_be_equal",
            column_A=st.just(drawn[0][0]),
            column_B=st.just(drawn[0][1]),
            ignore_row_if=st.just(drawn[1]),
            mostly=mostly,
        )
    ),
)
# What only Great Expectations evaluates, on each batch.
by_reference = st.sampled_from(
    [
        expect("column_values_to_be_between", column="d", min_value="2013-06-01", mostly=0.5),
        expect("column_values_to_be_between", column="w", max_value="2013-06-01T00:00:00"),
        expect("column_values_to_be_between", column="b", min_value=1),
        expect("column_values_to_be_between", column="i", max_value=1e30),
        expect("column_values_to_match_regex_list", column="s", regex_list=["a", "b"], mostly=0.5),
        expect("column_values_to_match_regex_list", column="g", regex_list=[r"^0\.1", r"e\+"]),
        expect("column_values_to_be_json_parseable", column="s"),
        expect("column_values_to_be_in_set", column="b", value_set=[True]),
    ]
)
distinct = st.lists(st.sampled_from(["a", "b", "ab", "7"]), min_size=1) | st.lists(
    st.integers(-2, 2), min_size=1
)
partition = st.sampled_from(
    [
        {"values": ["a", "b"], "weights": [0.5, 0.5]},
        {"values": [*TEXTS, "z"], "weights": [1 / 11] * 11},
        {"values": [0, 1], "weights": [1, 0]},
    ]
)
binned = st.sampled_from(
    [
        {"bins": [-2, 0, 2.5], "weights": [0.5, 0.5]},
        {"bins": [-2.5, 0, 1, 5], "weights": [0.25, 0.5, 0], "tail_weights": [0.125, 0.125]},
        {"bins": [0, 1], "weights": [0.9], "tail_weights": [0, 0.1]},
    ]
)
on_all = st.one_of(
    *(
        make(f"column_{figure}_to_be_between", column=column("qkb"), **bounds)
        for figure in ("mean", "sum", "stdev")
    ),
    *(make(f"column_{figure}_to_be_between", column=column("qkin"), **bounds) for figure in ("min", "max")),
    make(
        "column_proportion_of_non_null_values_to_be_between",
        column=column("fikstdbw"),
        min_value=st.sampled_from([0, 0.5, 1]),
        strict_min=maybe,
    ),
    make("column_unique_value_count_to_be_between", column=column("qkst"), **counts),
    *(
        make(f"column_distinct_values_to_{relation}_set", column=column("qkst"), value_set=distinct)
        for relation in ("be_in", "contain", "equal")
    ),
    make(
        "column_kl_divergence_to_be_less_than",
        column=column("st"),
        partition_object=partition,
        threshold=st.sampled_from([0.1, 1.0]),
        tail_weight_holdout=st.sampled_from([None, 0.1]),
    ),
    make(
        "column_kl_divergence_to_be_less_than",
        # Of whole numbers with nulls Great Expectations says "boolean value of NA is ambiguous".
        column=column("fgqnm"),
        partition_object=binned,
        threshold=st.sampled_from([0.1, 1.0]),
    ),
    make(
        "column_kl_divergence_to_be_less_than",
        column=column("qn"),
        partition_object=st.just({"bins": [-2, 0, 2.5], "weights": [0.5, 0.5]}),
        threshold=st.sampled_from([0.1, 1.0]),
        tail_weight_holdout=st.sampled_from([0.1, 1.0]),
    ),
    make("table_row_count_to_be_between", **counts),
    make("table_row_count_to_equal", value=st.integers(0, 4)),
    make("column_to_exist", column=column("fx")),
    make(
        "table_columns_to_match_set",
        column_set=st.lists(st.sampled_from([*"fgqiknmstdbwx"]), min_size=1),
        exact_match=maybe,
    ),
)

floats = st.none() | st.floats() | st.sampled_from([-0.0, 0.0, 1.0, 2.0, -2.5, math.inf])
# Of these, sums and means have no rounding, and are the same in any order.
quarters = st.none() | st.integers(-40, 40).map(lambda each: each / 4) | st.sampled_from([math.inf, math.nan])
texts = st.none() | st.sampled_from(TEXTS) | st.text(max_size=3)
COLUMNS = {
    "f": (floats, pa.float64()),
    "g": (st.none() | st.floats(width=32) | st.sampled_from([0.1, 0.5, 1.0, 1e30]), pa.float32()),
    "q": (quarters, pa.float64()),
    "i": (st.none() | st.integers(-4, 6) | st.integers(-(2**63), 2**63 - 1), pa.int64()),
    "k": (st.none() | st.integers(-4, 6), pa.int16()),
    "n": (st.integers(-4, 6), pa.int64()),
    "m": (st.integers(0, 6), pa.uint8()),
    "s": (texts, pa.string()),
    "t": (texts, pa.dictionary(pa.int32(), pa.string())),
    "d": (st.none() | st.dates(dt.date(2013, 1, 1), dt.date(2013, 12, 31)), pa.date32()),
    "b": (st.none() | st.booleans(), pa.bool_()),
    "w": (st.none() | st.datetimes(dt.datetime(2013, 1, 1), dt.datetime(2014, 1, 1)), pa.timestamp("us")),  # noqa: DTZ001
}


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    rows = draw(st.integers(1, 8))
    return pa.table(
        {
            name: pa.array(draw(st.lists(values, min_size=rows, max_size=rows)), kind)
            for name, (values, kind) in COLUMNS.items()
        }
    )


def suite_of(expectations: Sequence[Expectation]) -> Suite:
    return Suite("suite", Path("suite.json"), "0" * 64, tuple(expectations))


def stream(
    inspector: Inspector, batches: Sequence[pa.Table], order: random.Random
) -> tuple[tuple[RowFailure, ...], Tally]:
    """All row failures, by position in the whole, and the tally, merged in any order over JSON."""
    failures, tallies, first = [], [], 0
    for batch in batches:
        inspection = inspector.rows(batch)
        failures += [RowFailure(first + f.position, f.reasons) for f in inspection.row_failures]
        tallies.append(inspection.tally)
        first += batch.num_rows
    while len(tallies) > 1:
        order.shuffle(tallies)
        merged = tallies.pop().merge(tallies.pop())
        plain = json.loads(json.dumps(merged.to_plain(), allow_nan=False))
        assert Tally.from_plain(plain) == merged
        tallies.append(merged)
    return tuple(failures), tallies[0]


def cut(table: pa.Table, cuts: Sequence[int]) -> list[pa.Table]:
    ends = [0, *sorted(each % (table.num_rows + 1) for each in cuts), table.num_rows]
    return [table.slice(start, end - start) for start, end in pairwise(ends)]


def rounded(message: str) -> str:
    """A sentence with the figure that was observed cut to six digits."""
    return re.sub(
        r"(?<=is )-?\d[\d.e+-]*|(?<=observed )-?\d[\d.e+-]*", lambda found: f"{float(found[0]):.6g}", message
    )


def verdicts(report: Report) -> list[list[tuple[Any, ...]]]:
    return [
        [(rounded(f.message), f.check, f.column, f.count) for f in failures]
        for failures in (report.row_checks, report.batch_failures, report.warnings)
    ]


def assert_says_the_same(whole: Report, failures: tuple[RowFailure, ...], report: Report) -> None:
    assert failures == whole.row_failures
    assert verdicts(report) == verdicts(whole)
    assert (report.rows, report.is_fit, report.row_failures) == (whole.rows, whole.is_fit, ())
    reasons = {reason for failure in failures for reason in failure.reasons}
    assert all(set(found.examples) <= reasons for found in report.row_checks)


@settings(max_examples=EXAMPLES)
@given(tables(), st.lists(on_rows | on_all, min_size=6, max_size=14), st.lists(by_reference, max_size=1))
def test_as_doubles_is_what_is_said_of_doubles(
    table: pa.Table, expectations: list[Expectation], slow: list[Expectation]
) -> None:
    inspector = Inspector.of(suite_of([*expectations, *slow]))
    place = table.schema.get_field_index("g")
    doubles = table.set_column(place, "g", table["g"].cast(pa.float64()))
    assert inspector.rows(table, as_doubles=True) == inspector.rows(doubles)


# What numpy warns of a deviation with infinities; made an error, it changes what Great Expectations says.
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@settings(max_examples=EXAMPLES)
@given(
    tables(),
    st.lists(on_rows | on_all, min_size=6, max_size=14),
    st.lists(by_reference, max_size=1),
    st.lists(st.integers(0, 8), max_size=3),
    st.randoms(use_true_random=False),
)
def test_a_stream_says_what_is_said_of_the_whole(
    table: pa.Table,
    expectations: list[Expectation],
    slow: list[Expectation],
    cuts: list[int],
    order: random.Random,
) -> None:
    suite = suite_of([*expectations, *slow])
    inspector = Inspector.of(suite)
    failures, tally = stream(inspector, cut(table, cuts), order)
    whole = check(table, suite)
    assert_says_the_same(whole, failures, inspector.conclude(tally))
    assert tally.failed_rows == len(failures)


@settings(max_examples=2 * EXAMPLES)
@given(
    tables(),
    st.lists(on_rows | on_all, min_size=1, max_size=8),
    st.lists(st.integers(0, 8), max_size=4),
    st.randoms(use_true_random=False),
)
def test_tallies_are_the_same_in_any_order(
    table: pa.Table, expectations: list[Expectation], cuts: list[int], order: random.Random
) -> None:
    inspector = Inspector.of(suite_of(expectations))
    batches = cut(table, cuts)
    forth = stream(inspector, batches, order)[1]
    back = stream(inspector, batches[::-1], order)[1]
    assert verdicts(inspector.conclude(forth)) == verdicts(inspector.conclude(back))
    assert forth.merge(inspector.empty) == forth == inspector.empty.merge(forth)
    for one, other in zip(forth.checks, back.checks, strict=True):
        assert (one.considered, one.unexpected, one.examples) == (
            other.considered,
            other.unexpected,
            other.examples,
        )
