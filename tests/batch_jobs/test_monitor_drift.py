"""Rows of a day beside those of training: counted, added up, and measured."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa

from batch_jobs.monitoring.declared import Thresholds
from batch_jobs.monitoring.drift import count_rows, kinds_of, measure_features, together
from batch_jobs.monitoring.figures import Figure
from batch_jobs.monitoring.references import Reference
from evidence.drift import refer_categories, refer_numbers

OF = Figure("batch", 1, "", 0, 0)
LIMITS = Thresholds()
RNG = np.random.default_rng(3)
TEMP, CARRIER, PREDICTED = RNG.normal(60, 10, 5000), RNG.choice(["AA", "UA"], 5000), RNG.random(5000)
REFERENCE = Reference(
    {"temp": refer_numbers(TEMP), "carrier": refer_categories(CARRIER.astype(object))},
    refer_numbers(PREDICTED),
)


def rows(start: int, count: int, warmer: float = 0.0, missing: int = 0, strange: int = 0) -> pa.Table:
    temp = list(TEMP[start : start + count - missing] + warmer) + [None] * missing
    carrier = ["ZZ"] * strange + list(CARRIER[start : start + count - strange])
    return pa.table({"temp": pa.array(temp, pa.float64()), "carrier": pa.array(carrier, pa.string())})


def measured(table: pa.Table) -> dict[tuple[str, str], float]:
    counts = count_rows(REFERENCE, table, PREDICTED[: len(table)])
    return {
        (each.metric, each.feature): each.value for each in measure_features(REFERENCE, counts, OF, LIMITS)
    }


def test_rows_like_those_of_training_have_not_drifted() -> None:
    found = measured(rows(0, 2000))
    assert found["psi", "temp"] < 0.02
    assert found["psi", "prediction"] < 0.02
    assert found["missing_change", "temp"] == 0
    assert found["unseen_share", "carrier"] == 0
    assert found["drifted_features", ""] == 0


def test_each_threshold_makes_a_column_drifted() -> None:
    warmer = measured(rows(0, 2000, warmer=15))
    assert warmer["psi", "temp"] > 1
    assert warmer["drifted_features", ""] == 1
    missing = measured(rows(0, 2000, missing=400))
    assert missing["missing_share", "temp"] == missing["missing_change", "temp"] == 0.2
    assert missing["drifted_features", ""] == 1
    strange = measured(rows(0, 2000, missing=400, strange=200))
    assert strange["unseen_share", "carrier"] == 0.1
    assert strange["drifted_features", ""] == 2


def test_a_handful_of_rows_drifts_by_chance_and_is_not_called_so() -> None:
    found = measured(rows(0, 8))
    assert found["psi", "temp"] > LIMITS.psi
    assert found["psi_by_chance", "temp"] > found["psi", "temp"]
    assert found["drifted_features", ""] == 0


def test_counts_of_days_add_up_to_those_of_the_window() -> None:
    days = [count_rows(REFERENCE, rows(n * 500, 500), PREDICTED[n * 500 : n * 500 + 500]) for n in range(3)]
    whole = count_rows(REFERENCE, rows(0, 1500), PREDICTED[:1500])
    one, other = (measure_features(REFERENCE, counts, OF, LIMITS) for counts in (together(days), whole))
    assert one == other


def test_a_column_without_any_value_has_no_psi_and_all_missing() -> None:
    found = measured(rows(0, 100, missing=100))
    assert ("psi", "temp") not in found
    assert found["missing_share", "temp"] == 1


def test_a_reference_is_read_back_as_it_was_written() -> None:
    assert Reference.of_plain(json.loads(json.dumps(REFERENCE.to_plain()))) == REFERENCE
    assert kinds_of(REFERENCE) == {"temp": "number", "carrier": "text"}
