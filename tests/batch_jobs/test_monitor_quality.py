"""Joining outcomes to predictions, and measuring them: on arrays, without S3."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_jobs.monitoring.declared import Monitor, Outcomes
from batch_jobs.monitoring.figures import SCHEMA, DayFigures, Figure, lay_out, read_back
from batch_jobs.monitoring.quality import measure_quality, measure_volumes
from batch_jobs.monitoring.rows import MOST_ROWS, DayRows, aligned, chosen, label_of, look_up, settled
from evidence import METRICS

LATE = Outcomes("truth/{date}", "id", "delay", 15)
MONITOR = Monitor(LATE, "out", {"carrier": None, "distance": (500.0,)}, window_days=10)
JULY = dt.date(2013, 7, 1)


def keys(*names: str | None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(names, pa.string())])


def day(nth: int, rows: int = 240, version: int = 1, quality: float = 1.0) -> DayRows:
    rng = np.random.default_rng(nth)
    label = (rng.random(rows) < 0.3).astype(np.float64)
    predicted = 1 / (1 + np.exp(1 - quality * label + rng.normal(size=rows)))
    features = pa.table(
        {"carrier": rng.choice(["AA", "UA"], rows), "distance": rng.choice([100.0, 900.0, np.nan], rows)}
    )
    return DayRows(
        date=JULY + dt.timedelta(days=nth),
        source="batch",
        keys=keys(*(f"{nth}-{n}" for n in range(rows))),
        versions=np.full(rows, version),
        predicted=predicted,
        label=label,
        features=features,
        scored={version: rows},
        quarantined=60,
        outcomes={"repeated": 2, "contradicted": 4, "unusable": 1, "unmatched": 3},
    )


def by_name(figures: list[Figure]) -> dict[tuple[int, str, str], Figure]:
    return {(each.days, each.slice, each.metric): each for each in figures}


def test_outcomes_that_come_twice_or_contradict_or_say_nothing() -> None:
    reported = keys("a", "a", "b", "b", "c", "d", "d", None, "x")
    raw = np.array([20.0, 20.0, 20.0, 3.0, np.nan, 16.0, 90.0, 1.0, 5.0])
    known = settled(reported, raw, LATE)
    label, unmatched = look_up(keys("d", "c", "b", "a", "never"), known)
    # Two delays that are both late are one outcome; late and not late are none.
    np.testing.assert_array_equal(label, [1.0, np.nan, np.nan, 1.0, np.nan])
    assert unmatched == 1
    assert {name: known.counts[name] for name in ("repeated", "contradicted", "unusable")} == {
        "repeated": 2,
        "contradicted": 2,
        "unusable": 2,
    }


def test_a_label_is_a_number_where_nothing_is_cut() -> None:
    raw = np.array([1.5, np.nan])
    np.testing.assert_array_equal(label_of(raw, Outcomes("t/{date}", "id", "price")), raw)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from([1.0, 30.0])), max_size=12), st.randoms())
def test_the_order_in_which_outcomes_come_plays_no_part(
    rows: list[tuple[str, float]], random: object
) -> None:
    wanted = keys(*"abcde")
    labels = []
    for _ in range(2):
        known = settled(keys(*(key for key, _ in rows)), np.array([value for _, value in rows]), LATE)
        labels.append(look_up(wanted, known)[0])
        random.shuffle(rows)  # type: ignore[attr-defined]  # hypothesis hands a Random
    np.testing.assert_array_equal(labels[0], labels[1])


def test_features_are_found_by_key() -> None:
    table = pa.table({"temp": [1.0, 2.0, 3.0]})
    found = aligned(keys("c", "gone", "a"), keys("a", "b", "c"), table)
    assert found["temp"].to_pylist() == [3.0, None, 1.0]


def test_of_a_large_day_the_same_rows_are_chosen_again() -> None:
    names = keys(*map(str, range(2000)))
    first = chosen(names, 4 * MOST_ROWS)
    assert 400 < first.sum() < 600
    np.testing.assert_array_equal(first, chosen(names, 4 * MOST_ROWS))
    assert chosen(names, 2000).all()


def test_a_day_and_its_window_are_measured_per_slice() -> None:
    days = [day(n) for n in range(10)]
    figures, warnings = measure_quality(days, MONITOR)
    found = by_name(figures)
    assert warnings == []
    last = days[-1]
    assert found[1, "all", "auc"].value == pytest.approx(METRICS["auc"].of(last.label, last.predicted))
    whole = found[10, "all", "brier"]
    together = np.concatenate([d.label for d in days]), np.concatenate([d.predicted for d in days])
    assert whole.value == pytest.approx(METRICS["brier"].of(*together))
    assert whole.rows == 2400
    assert whole.low is not None
    assert whole.high is not None
    assert whole.low < whole.value < whole.high
    assert found[10, "all", "calibration_error"].high is not None
    carriers = [found[10, f"carrier={name}", "auc"] for name in ("AA", "UA")]
    assert sum(each.rows for each in carriers) == 2400
    assert (10, "distance=missing", "log_loss") in found
    bins = [each for each in figures if each.days == 1 and each.slice.startswith("prediction=")]
    observed = sum(each.value * each.rows for each in bins if each.metric == "mean_outcome")
    assert observed == pytest.approx(last.label.sum())


def test_a_window_is_of_the_version_that_predicted() -> None:
    days = [*(day(n, version=1, quality=0.0) for n in range(9)), day(9, version=2)]
    found = by_name(measure_quality(days, MONITOR)[0])
    assert {figure.model_version for figure in found.values()} == {2}
    assert found[10, "all", "auc"].rows == 240
    # One day is no block to compare with others.
    assert found[10, "all", "auc"].low is None


def test_what_cannot_be_measured_is_said() -> None:
    one = day(0, rows=3)
    late = DayRows(**{**vars(one), "label": np.array([1.0, 1.0, np.nan])})
    figures, warnings = measure_quality([late], MONITOR)
    assert "auc needs both classes; found 2 positives, 0 negatives" in warnings
    assert by_name(figures)[1, "all", "mean_outcome"].value == 1.0
    none = DayRows(**{**vars(one), "label": np.full(3, np.nan)})
    assert measure_quality([none], MONITOR) == ([], [])


def test_a_column_of_too_many_values_is_not_sliced_by() -> None:
    one = day(0, rows=600)
    table = one.features.set_column(0, "carrier", pa.array([f"c{n}" for n in range(600)]))
    figures, warnings = measure_quality([DayRows(**{**vars(one), "features": table})], MONITOR)
    assert warnings == ["carrier has more than 100 values, and is not sliced by; cut it in bands"]
    assert any(each.slice == "distance=500 and more" for each in figures)


def test_volumes_say_what_became_of_rows_and_outcomes() -> None:
    one = day(0)
    one.label[:60] = np.nan
    found = {each.metric: each.value for each in measure_volumes(one)}
    assert found == {
        "scored": 240,
        "labelled": 180,
        "labelled_share": 0.75,
        "quarantined": 60,
        "quarantined_share": 0.2,
        "outcomes_repeated": 2,
        "outcomes_contradicted": 4,
        "outcomes_unusable": 1,
        "outcomes_unmatched": 3,
    }


def test_figures_are_read_back_as_they_were_written() -> None:
    figures = tuple(measure_volumes(day(0)) + measure_quality([day(0)], MONITOR)[0])
    written = DayFigures(JULY, figures, "digest", "run")
    table = lay_out(written, {1: "artifact"})
    assert table.schema.names == [name for name in SCHEMA.names if name != "date"]
    assert set(table["artifact_digest"].to_pylist()) == {"artifact"}
    assert read_back(JULY, table) == written
    assert written.versions("batch") == {1: 240}
