"""The narrow seam of prediction: float32 rows in, float32 predictions out.

Whoever scores must answer as XGBoost does, to the bit: batch jobs, the endpoint and MLflow's own doors say
the same of a row. `Booster.inplace_predict` is what the others are held against when a booster is loaded, and
what is taken where one of them differs, or does not know the booster.
"""

from __future__ import annotations

import ctypes
import json
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from registry.trees.binned import BinnedForest
from registry.trees.binned_kernel import code_of_bins
from registry.trees.code import address
from registry.trees.forest import Forest, read_forest
from registry.trees.kernel import code_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt

    Matrix = npt.NDArray[np.float32]

# As `inplace_predict` asks: the whole booster, its values, NaN for missing.
_CONFIG = json.dumps(
    {
        "training": False,
        "iteration_begin": 0,
        "iteration_end": 0,
        "strict_shape": False,
        "missing": float("nan"),
        "type": 0,
        "cache_id": 0,
    }
).encode()
_INTERFACE = b'{"data":[%d,true],"shape":[%d,%d],"typestr":"<f4","version":3}'
_FLOAT_BYTES = 4
# Rows that the check adds to those of the example, twice: of what the trees ask about, and of every size.
_TRIED_ROWS = 128
_MISSING_SHARE = 0.1


class Evaluator(Protocol):
    """What predicts. Any number of threads may call it at once, and another process may have a copy."""

    def predict(self, matrix: Matrix) -> Matrix:
        """Return the predictions of rows, `matrix` being float32 of shape (rows, features)."""


class ThroughPython:
    """XGBoost by its public Python function: the reference."""

    def __init__(self, booster: Any) -> None:
        self._booster = booster

    def predict(self, matrix: Matrix) -> Matrix:
        """Return the predictions of rows."""
        return self._booster.inplace_predict(matrix)  # type: ignore[no-any-return]  # xgboost has no types


class ThroughC:
    """XGBoost by the function of its C API that its Python function calls, with nothing around it."""

    def __init__(self, booster: Any) -> None:
        from xgboost.libpath import find_lib_path

        self._booster = booster  # owns what the handle points to
        self._handle = booster.handle
        library = ctypes.CDLL(find_lib_path()[0])
        function = library.XGBoosterPredictFromDense
        function.restype = ctypes.c_int
        function.argtypes = [
            ctypes.c_void_p,
            ctypes.c_char_p,
            ctypes.c_char_p,
            ctypes.c_void_p,
            ctypes.POINTER(ctypes.POINTER(ctypes.c_uint64)),
            ctypes.POINTER(ctypes.c_uint64),
            ctypes.POINTER(ctypes.c_void_p),
        ]
        self._function = function

    def __reduce__(self) -> tuple[type[ThroughC], tuple[Any]]:
        """Have a copy find its own function."""
        return ThroughC, (self._booster,)

    def predict(self, matrix: Matrix) -> Matrix:
        """Return the predictions of rows, copied from the buffer that XGBoost keeps for this thread."""
        rows, features = matrix.shape
        matrix = np.ascontiguousarray(matrix, np.float32)
        interface = _INTERFACE % (address(matrix), rows, features)
        shape = ctypes.POINTER(ctypes.c_uint64)()
        dimensions, found = ctypes.c_uint64(), ctypes.c_void_p()
        failed = self._function(self._handle, interface, _CONFIG, None, shape, dimensions, found)
        if failed or found.value is None:
            return ThroughPython(self._booster).predict(matrix)  # says what is wrong
        if dimensions.value == 1:
            return np.frombuffer(ctypes.string_at(found.value, rows * _FLOAT_BYTES), np.float32)
        sizes = shape[: dimensions.value]
        count = int(np.prod(sizes))
        return np.frombuffer(ctypes.string_at(found.value, count * _FLOAT_BYTES), np.float32).reshape(sizes)


class ThroughForest:
    """The trees, by code of our own."""

    def __init__(self, booster: Any, forest: Forest | BinnedForest) -> None:
        self._booster, self.forest = booster, forest
        self._code = code_of_bins(forest) if isinstance(forest, BinnedForest) else code_of(forest)

    def __reduce__(self) -> tuple[type[ThroughForest], tuple[Any, Forest | BinnedForest]]:
        """Have a copy make its own code, for addresses of its own."""
        return ThroughForest, (self._booster, self.forest)

    def predict(self, matrix: Matrix) -> Matrix:
        """Return the predictions of rows."""
        if matrix.shape[1] != self.forest.features:
            return ThroughPython(self._booster).predict(matrix)  # says what is wrong
        return self._code.predict(matrix)


def choose_evaluator(
    booster: Any, example: Matrix | None = None, *, comes_in_batches: bool = False
) -> Evaluator:
    """Return the quickest evaluator, for few rows or for many, that answers as XGBoost's Python to the bit.

    All are held against it on `example`, where there is one, on values that the trees ask about and their
    neighbours, on numbers of every size, and on what is missing. `booster` predicts with one thread from
    here on: who scores has threads or processes to use the processors.
    """
    booster.set_param({"nthread": 1})
    forest = read_forest(booster)
    tried = [_any_rows(booster.num_features()), *([] if example is None else [example])]
    if forest is not None:
        tried.append(_asked_rows(forest))
    others = _others(booster, forest, comes_in_batches=comes_in_batches)
    return first_equal(others, ThroughPython(booster), np.concatenate(tried))


def first_equal(candidates: Iterable[Evaluator], reference: Evaluator, rows: Matrix) -> Evaluator:
    """Return the first that predicts rows as the reference does, together and alone; or the reference."""
    few = rows[:1]
    expected, expected_alone = reference.predict(rows), reference.predict(few)
    for each in candidates:
        if _is_same(each.predict(rows), expected) and _is_same(each.predict(few), expected_alone):
            return each
    return reference


def _is_same(found: Matrix, expected: Matrix) -> bool:
    return found.shape == expected.shape and found.tobytes() == expected.tobytes()


def _others(booster: Any, forest: Forest | None, *, comes_in_batches: bool) -> Iterator[Evaluator]:
    if forest is not None:
        if comes_in_batches and (binned := BinnedForest.of(forest)) is not None:
            yield ThroughForest(booster, binned)
        yield ThroughForest(booster, forest)
    yield ThroughC(booster)


def _any_rows(features: int) -> Matrix:
    """Return rows of numbers of every size, some missing."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(_TRIED_ROWS, features)) * 10.0 ** rng.integers(-3, 6, _TRIED_ROWS)[:, None]
    rows[rng.random(rows.shape) < _MISSING_SHARE] = np.nan
    return rows.astype(np.float32)


def _asked_rows(forest: Forest) -> Matrix:
    """Return rows of thresholds of each feature, of the numbers before and after them, and of categories."""
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 32 * forest.words + 2, (_TRIED_ROWS, forest.features)).astype(np.float32)
    asked = ~np.isnan(forest.threshold)
    features, thresholds = forest.feature[asked] % forest.features, forest.threshold[asked]
    for feature in np.unique(features):
        chosen = rng.choice(thresholds[features == feature], _TRIED_ROWS)
        towards = rng.choice(np.array([-np.inf, np.inf, np.nan], np.float32), _TRIED_ROWS)
        rows[:, feature] = np.where(np.isnan(towards), chosen, np.nextafter(chosen, towards))
    rows[rng.random(rows.shape) < _MISSING_SHARE] = np.nan
    return rows
