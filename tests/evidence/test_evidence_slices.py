"""Slices: bands, reasons, and intervals that hold for all at once."""

from typing import Any

import numpy as np
import pytest

from evidence import METRICS, Gate, Resampling, Sample, cut_bands, estimate, judge, measure, measure_slices

NAN = float("nan")


def sample(rows: int = 2_000, seed: int = 0, *, alone: bool = False) -> Sample:
    random = np.random.default_rng(seed)
    x = random.normal(size=rows)
    label = (random.random(rows) < 1 / (1 + np.exp(-x))).astype(np.float64)
    candidate, champion = (1 / (1 + np.exp(-x - random.normal(0, 0.5, rows))) for _ in range(2))
    return Sample(label, candidate, None if alone else champion, np.arange(rows) % 20)


def test_bands_are_named_and_an_edge_belongs_to_the_band_above() -> None:
    found = cut_bands(np.array([-1.0, 0, 499.9, 500, 1e9, NAN, np.inf]), [0, 500])
    assert found.tolist() == [
        "below 0", "0 to 500", "0 to 500", "500 and more", "500 and more", "missing", "500 and more",
    ]  # fmt: skip


@pytest.mark.parametrize("edges", [[], [2, 1], [1, 1], [0, NAN]])
def test_edges_have_to_rise(edges: Any) -> None:
    with pytest.raises(ValueError, match=r"expected rising numbers, as \[0, 500, 1000\]$"):
        cut_bands(np.zeros(1), edges)


def test_every_row_is_in_one_slice_of_a_column() -> None:
    rows = sample()
    carrier = np.array(["AA", "B6", None, "UA"], dtype=object)[np.arange(2_000) % 4]
    distance = np.linspace(0, 3_000, 2_000)
    found = measure_slices(
        {"auc": METRICS["auc"]}, rows, {"carrier": carrier, "distance": distance}, {"distance": [0, 1_000]}
    )
    named = {(s.column, s.value): s.rows for s in found}
    assert named == {
        ("carrier", "AA"): 500,
        ("carrier", "B6"): 500,
        ("carrier", "UA"): 500,
        ("carrier", "missing"): 500,
        ("distance", "1000 and more"): 1_333,
        ("distance", "0 to 1000"): 667,
    }
    assert list(named)[4] == ("distance", "1000 and more"), "the largest first"


def test_intervals_of_slices_hold_for_all_at_once() -> None:
    rows = sample()
    half = np.arange(2_000) < 1_000
    column = np.where(half, "first", "second")
    first = next(s for s in measure_slices(METRICS_OF_TWO, rows, {"half": column}) if s.value == "first")
    alone = estimate(
        METRICS["auc"], rows.label[half], rows.candidate[half], np.arange(1_000) % 20, Resampling(level=0.975)
    )
    assert first.estimates["auc"] == alone
    assert first.estimates.keys() == first.differences.keys() == {"auc", "brier"}


METRICS_OF_TWO = {name: METRICS[name] for name in ("auc", "brier")}


def test_a_slice_too_small_has_a_reason_and_takes_no_level_from_the_others() -> None:
    rows = sample()
    column = np.array(["large"] * 1_950 + ["few"] * 50)
    large, few = measure_slices(METRICS_OF_TWO, rows, {"size": column})
    assert (few.rows, few.estimates, few.differences) == (50, {}, {})
    assert few.reasons == dict.fromkeys(METRICS_OF_TWO, "50 rows, expected at least 100")
    kept = column == "large"
    alone = estimate(METRICS["auc"], rows.label[kept], rows.candidate[kept], np.arange(1_950) % 20)
    assert large.estimates["auc"] == alone


@pytest.mark.parametrize(
    ("label", "blocks", "reason"),
    [
        (np.arange(200) < 19, np.arange(200), "19 positives, expected at least 20"),
        (np.arange(200) >= 5, np.arange(200), "5 negatives, expected at least 20"),
        (np.arange(200) < 100, np.arange(200) % 7, "7 blocks of rows, expected at least 8"),
    ],
)
def test_why_a_slice_is_too_small(label: Any, blocks: Any, reason: str) -> None:
    rows = Sample(label.astype(np.float64), np.linspace(0, 1, 200), None, blocks)
    [found] = measure_slices({"auc": METRICS["auc"]}, rows, {"all": np.full(200, "yes")})
    assert found.reasons == {"auc": reason}


def test_a_slice_of_three_rows_is_counted_and_not_judged() -> None:
    rows = sample()
    column = np.array(["UA"] * 1_997 + ["OO"] * 3)
    found = measure({"auc": METRICS["auc"]}, rows, {"carrier": column})
    assert found.slices[1].reasons == {"auc": "3 rows, expected at least 100"}
    [result] = judge([Gate(metric="auc", slice="carrier", at_least=0.5)], found)
    assert result.passed
    assert result.sentence.endswith("; 1 of 2 cannot be judged")


def test_a_column_of_too_many_values_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"^The column flight has 2000 values, expected at most 100 to slice by"
    ):
        measure_slices(METRICS_OF_TWO, sample(), {"flight": np.arange(2_000)})


def test_everything_is_measured_at_once() -> None:
    found = measure(
        METRICS_OF_TWO, sample(), {"half": np.arange(2_000) < 1_000}, quality={"rejected_share": 0.1}
    )
    assert found.champion is not None
    for name in METRICS_OF_TWO:
        assert found.differences[name].value == found.candidate[name].value - found.champion[name].value
    assert [s.value for s in found.slices] == ["False", "True"]
    assert found.quality == {"rejected_share": 0.1}


def test_without_a_champion_there_are_no_differences() -> None:
    found = measure(METRICS_OF_TWO, sample(alone=True), {"half": np.arange(2_000) < 1_000})
    assert (found.champion, found.differences) == (None, {})
    assert all(s.estimates and not s.differences for s in found.slices)
