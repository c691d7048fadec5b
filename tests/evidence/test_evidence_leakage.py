"""Leakage: how well one column alone orders the rows as the label does."""

from __future__ import annotations

import numpy as np
import pytest

from evidence import associations

RNG = np.random.default_rng(11)
LABEL = (RNG.random(2000) < 0.3).astype(np.float64)
PRICE = RNG.lognormal(size=2000)


def test_the_label_itself_is_found_in_every_disguise() -> None:
    words = np.where(LABEL == 1, "late", "on time").astype(object)
    found = associations(
        "classification", LABEL, {"same": LABEL, "turned": -3 * LABEL, "words": words, "noise": PRICE}
    )
    assert found["same"] == found["turned"] == found["words"] == 1
    assert found["noise"] < 0.1
    numbers = associations("regression", PRICE, {"log": np.log(PRICE), "noise": LABEL})
    assert numbers["log"] == pytest.approx(1)
    assert numbers["noise"] < 0.1


def test_missing_values_are_left_out() -> None:
    gaps = np.where(RNG.random(2000) < 0.5, np.nan, LABEL)
    words = np.where(RNG.random(2000) < 0.5, None, np.where(LABEL == 1, "a", "b"))  # type: ignore[call-overload]
    assert associations("classification", LABEL, {"gaps": gaps, "words": words}) == {"gaps": 1, "words": 1}


def test_nothing_is_said_where_nothing_can_be() -> None:
    key = np.array([f"row-{n}" for n in range(2000)], object)
    rare = np.where(np.arange(2000) < 50, 1.0, np.nan)
    assert associations("classification", LABEL, {"key": key, "constant": np.ones(2000), "rare": rare}) == {}
