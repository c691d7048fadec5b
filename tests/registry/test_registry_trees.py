"""Our walk through the trees answers as XGBoost does, to the bit, or leaves the booster to it."""

from __future__ import annotations

import json
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import xgboost as xgb

from registry.trees import Evaluator, choose_evaluator
from registry.trees.asking import Plain
from registry.trees.asking_wide import Wide, is_known_here
from registry.trees.binned import BinnedForest
from registry.trees.binned_kernel import code_of_bins
from registry.trees.evaluator import ThroughC, ThroughForest, ThroughPython, first_equal
from registry.trees.forest import Forest, forest_of, read_forest
from registry.trees.ubjson import read_ubjson

EXHAUSTIVE = bool(os.environ.get("GREENROOM_EXHAUSTIVE"))
FEATURES, CATEGORIES = 7, 70
# 64 rows are walked at a time.
COUNTS = (0, 1, 2, 63, 64, 65, 500)
SHAPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "stumps": {"max_depth": 1},
    "deep": {"max_depth": 14, "min_child_weight": 0},
    "lopsided": {"grow_policy": "lossguide", "max_leaves": 9, "max_depth": 0},
    "forests": {"num_parallel_tree": 3, "subsample": 0.5},
    "one category a split": {"max_cat_to_onehot": 1000},
    "sets of categories": {"max_cat_to_onehot": 1},
    "nothing learnt": {"gamma": 1e9},
}
NUMBERS: dict[str, dict[str, Any]] = {
    **{f"{levels} levels": {"max_depth": levels} for levels in range(1, 9)},
    "lopsided": {"grow_policy": "lossguide", "max_leaves": 9, "max_depth": 0},
    "nothing learnt": {"gamma": 1e9},
    "forests": SHAPES["forests"],
}
OBJECTIVES = (
    "binary:logistic", "reg:logistic", "reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror",
    "rank:pairwise", "rank:ndcg",
)  # fmt: skip
# How rows are asked: as every processor can, and as this one may.
ASKED = (Plain, Wide) if is_known_here() else (Plain,)
OTHERS: dict[str, dict[str, Any]] = {
    "classes": {"objective": "multi:softprob", "num_class": 3},
    "counts": {"objective": "count:poisson"},
    "dart": {"objective": "binary:logistic", "booster": "dart", "rate_drop": 0.5},
    "quantiles": {"objective": "reg:quantileerror", "quantile_alpha": [0.1, 0.9]},
    "too deep": {
        "objective": "reg:squarederror",
        "grow_policy": "lossguide",
        "max_depth": 0,
        "min_child_weight": 0,
    },
}


def rows_of(seed: int, count: int) -> npt.NDArray[np.float32]:
    """Return rows of numbers, of which the last two are codes of categories; some are missing."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((count, FEATURES)).astype(np.float32)
    rows[:, -2] = rng.integers(0, 3, count)
    rows[:, -1] = rng.integers(0, CATEGORIES, count)
    rows[rng.random(rows.shape) < 0.1] = np.nan
    return rows


def hostile(seed: int, count: int) -> npt.NDArray[np.float32]:
    """Return rows of numbers that are seldom tried, and of codes that no training has seen."""
    rng = np.random.default_rng(seed)
    odd = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 3.4e38, -3.4e38, -0.5, 0.5, 1.0, 2.0, 31.0]
    odd += [32.0, 63.0, 64.0, 69.0, 70.0, 95.0, 96.0, 97.0, 127.0, 128.0, 2.0**24, 2.0**31, 2.0**32, -1.0]
    rows = rng.choice(np.array(odd, np.float32), (count, FEATURES))
    return np.where(rng.random(rows.shape) < 0.5, rows, rows_of(seed, count))


def train(
    parameters: dict[str, Any], rounds: int = 12, seed: int = 1, *, has_categories: bool = True
) -> xgb.Booster:
    rows = rows_of(seed, 1500)
    score = np.nansum(rows[:, :3], axis=1) + (rows[:, -1] % 7 > 3) + (rows[:, -2] == 1)
    objective = str(parameters["objective"])
    label = (score > 1).astype(np.float32) if "squared" not in objective else score
    label = np.minimum(score - score.min(), 2).astype(int) if "multi" in objective else label
    types = ["q"] * (FEATURES - 2) + ["c" if has_categories else "q"] * 2
    of = xgb.DMatrix(rows, label, feature_types=types, enable_categorical=True)
    if "rank" in objective:
        of.set_group([50] * 30)
    return xgb.train({"max_depth": 5, "seed": seed, "nthread": 1, **parameters}, of, rounds)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("objective", OBJECTIVES if EXHAUSTIVE else OBJECTIVES[:3])
def test_every_bit_is_xgboosts(objective: str, shape: str) -> None:
    booster = train({"objective": objective, **SHAPES[shape]})
    forest = read_forest(booster)
    assert forest is not None
    ours = ThroughForest(booster, forest)
    for count, of, seed in product(COUNTS, (rows_of, hostile), range(40 if EXHAUSTIVE else 3)):
        rows = of(seed + 100, count)
        expected = booster.inplace_predict(rows).tobytes() if count else b""
        assert ours.predict(rows).tobytes() == expected
        assert ours.predict(np.asfortranarray(rows)).tobytes() == expected
    assert isinstance(choose_evaluator(booster), ThroughForest)


@pytest.mark.parametrize("shape", NUMBERS)
@pytest.mark.parametrize("objective", OBJECTIVES if EXHAUSTIVE else OBJECTIVES[1:3])
def test_every_bit_is_xgboosts_in_bins(objective: str, shape: str) -> None:
    booster = train({"objective": objective, **NUMBERS[shape]}, has_categories=False)
    ours = choose_evaluator(booster, comes_in_batches=True)
    assert isinstance(ours, ThroughForest)
    assert isinstance(ours.forest, BinnedForest)
    codes: list[Evaluator] = [ours, *(code_of_bins(ours.forest, kind) for kind in ASKED)]
    for count, of, seed in product(COUNTS, (rows_of, hostile), range(40 if EXHAUSTIVE else 3)):
        rows = of(seed + 100, count)
        expected = booster.inplace_predict(rows).tobytes() if count else b""
        for code in codes:
            assert code.predict(rows).tobytes() == expected
            assert code.predict(np.asfortranarray(rows)).tobytes() == expected
    assert pickle.loads(pickle.dumps(ours)).predict(rows).tobytes() == expected
    assert isinstance(choose_evaluator(booster).forest, Forest)  # type: ignore[attr-defined]  # few rows walk


@pytest.mark.parametrize("cuts", [1, 254, 255, 256, 257])
def test_a_byte_counts_as_many_cuts_as_it_can(cuts: int) -> None:
    rows = np.arange(cuts + 1, dtype=np.float32)[:, None]
    label = np.random.default_rng(3).permutation(cuts + 1)
    booster = xgb.train(
        {"tree_method": "exact", "max_depth": 8, "min_child_weight": 0, "lambda": 0, "nthread": 1},
        xgb.DMatrix(rows, label),
        80,
    )
    forest = read_forest(booster)
    assert forest is not None
    thresholds = forest.threshold[:-1]  # the last is of no tree
    assert len(np.unique(thresholds[~np.isnan(thresholds)])) == cuts
    binned = BinnedForest.of(forest)
    assert (binned is None) is (cuts > 255)
    asked = np.concatenate([rows - 0.5, np.nextafter(rows - 0.5, -np.inf, dtype=np.float32), rows])
    expected = booster.inplace_predict(asked).tobytes()
    assert choose_evaluator(booster, comes_in_batches=True).predict(asked).tobytes() == expected
    for kind in ASKED:
        assert binned is None or code_of_bins(binned, kind).predict(asked).tobytes() == expected


def test_without_trees_all_rows_are_the_same() -> None:
    rows = rows_of(7, 100)
    booster = train({"objective": "binary:logistic"}, rounds=0)
    for comes_in_batches in (False, True):
        chosen = choose_evaluator(booster, comes_in_batches=comes_in_batches)
        assert chosen.predict(rows).tobytes() == booster.inplace_predict(rows).tobytes()


def test_what_has_no_bins_is_walked_in_batches_too() -> None:
    rows = rows_of(7, 300)
    for parameters, has_categories in ((SHAPES["deep"], False), (SHAPES["plain"], True)):
        booster = train({"objective": "binary:logistic", **parameters}, has_categories=has_categories)
        chosen = choose_evaluator(booster, comes_in_batches=True)
        assert isinstance(chosen, ThroughForest)
        assert isinstance(chosen.forest, Forest)
        assert chosen.predict(rows).tobytes() == booster.inplace_predict(rows).tobytes()


@pytest.mark.parametrize("objective", OBJECTIVES[3:])
def test_all_that_is_asked_of_a_sum_is_known(objective: str) -> None:
    booster = train({"objective": objective})
    rows = rows_of(7, 300)
    assert isinstance(choose_evaluator(booster), ThroughForest)
    assert choose_evaluator(booster).predict(rows).tobytes() == booster.inplace_predict(rows).tobytes()


@pytest.mark.parametrize(("base", "is_known"), [(0.001, True), (0.25, True), (0.999, True), (1e-7, False)])
def test_a_sum_begins_where_xgboosts_does(base: float, is_known: object) -> None:
    booster = train({"objective": "binary:logistic", "base_score": base})
    rows = rows_of(7, 300)
    # XGBoost begins elsewhere where a share is as good as none; the check at loading finds that.
    assert isinstance(choose_evaluator(booster), ThroughForest) is is_known
    assert choose_evaluator(booster).predict(rows).tobytes() == booster.inplace_predict(rows).tobytes()


@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_not_known_is_left_to_xgboost(kind: str) -> None:
    booster = train(OTHERS[kind])
    rows = rows_of(7, 300)
    assert read_forest(booster) is None
    chosen = choose_evaluator(booster)
    assert not isinstance(chosen, ThroughForest)
    assert chosen.predict(rows).tobytes() == booster.inplace_predict(rows).tobytes()


def test_who_answers_otherwise_is_not_chosen() -> None:
    booster, another = (
        train({"objective": "binary:logistic"}),
        train({"objective": "binary:logistic"}, seed=2),
    )
    forest = read_forest(another)
    assert forest is not None
    reference, direct = ThroughPython(booster), ThroughC(booster)
    rows = rows_of(7, 300)
    assert first_equal([ThroughForest(another, forest), direct], reference, rows) is direct
    assert first_equal([ThroughForest(another, forest)], reference, rows) is reference


def test_rows_of_another_width_are_refused_by_xgboost() -> None:
    chosen = choose_evaluator(train({"objective": "binary:logistic"}))
    for width in (FEATURES - 1, FEATURES + 1):
        with pytest.raises(ValueError, match="Feature shape mismatch"):
            chosen.predict(np.zeros((3, width), np.float32))


def test_a_copy_in_another_process_answers_the_same() -> None:
    rows = rows_of(7, 300)
    for parameters in ({"objective": "binary:logistic"}, OTHERS["classes"]):
        chosen = choose_evaluator(train(parameters))
        copy = pickle.loads(pickle.dumps(chosen))
        assert type(copy) is type(chosen)
        assert copy.predict(rows).tobytes() == chosen.predict(rows).tobytes()


def test_many_threads_may_ask_at_once() -> None:
    chosen = choose_evaluator(train({"objective": "binary:logistic"}))
    asked = [rows_of(seed, 1 + seed * 7) for seed in range(60)]
    alone = [chosen.predict(rows).tobytes() for rows in asked]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            assert [found.tobytes() for found in pool.map(chosen.predict, asked)] == alone


@pytest.mark.parametrize(
    ("name", "value"),
    [("split_indices", 2**20), ("left_children", 10**6), ("split_conditions", float("inf"))],
)
def test_trees_that_lead_nowhere_are_left_to_xgboost(name: str, value: float) -> None:
    booster = train({"objective": "binary:logistic"})
    said = json.loads(booster.save_raw("json"))
    said["learner"]["gradient_booster"]["model"]["trees"][3][name][:] = [value] * len(
        said["learner"]["gradient_booster"]["model"]["trees"][3][name]
    )

    assert forest_of(said["learner"]) is None


def test_a_booster_is_read_as_json_has_it() -> None:
    for parameters in ({"objective": "binary:logistic"}, *OTHERS.values()):
        booster = train(parameters)
        assert_same(read_ubjson(bytes(booster.save_raw("ubj"))), json.loads(booster.save_raw("json")))


def assert_same(found: Any, expected: Any) -> None:
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert_same(found[name], value)
    elif isinstance(found, np.ndarray):
        np.testing.assert_array_equal(found, np.array(expected, found.dtype))
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for each, value in zip(found, expected, strict=True):
            assert_same(each, value)
    elif isinstance(expected, float):
        assert np.float32(found) == np.float32(expected)
    else:
        assert found == expected


def test_bytes_that_are_not_whole_are_refused() -> None:
    whole = bytes(train({"objective": "binary:logistic"}, rounds=1).save_raw("ubj"))
    for end in range(0, len(whole), 7):
        with pytest.raises(ValueError, match="are not the UBJSON that XGBoost"):
            read_ubjson(whole[:end])
