"""The narrow seam of prediction: float32 rows in, float32 predictions out.

XGBoost itself predicts, for others are not equal to the bit. `Booster.inplace_predict` spends more time in
Python than in the trees where there is one row; `XGBoosterPredictFromDense`, the function of XGBoost's C
API that it calls, is called here with nothing around it. Whoever loads a booster holds both against each
other, and takes the slower where they differ.
"""

from __future__ import annotations

import ctypes
import json
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from xgboost.libpath import find_lib_path

if TYPE_CHECKING:
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
# Rows that the check adds to those of the example: numbers of every size, and some missing.
_TRIED_ROWS = 64


class Evaluator(Protocol):
    """What predicts. Any number of threads may call it at once."""

    def predict(self, matrix: Matrix) -> Matrix:
        """Return the predictions of rows, `matrix` being of shape (rows, features) and contiguous."""


class ThroughPython:
    """XGBoost by its public Python function: the reference."""

    def __init__(self, booster: Any) -> None:
        self._booster = booster

    def predict(self, matrix: Matrix) -> Matrix:
        """Return the predictions of rows."""
        return self._booster.inplace_predict(matrix)  # type: ignore[no-any-return]  # xgboost has no types


class ThroughC:
    """XGBoost by its C API, which is what its Python function calls."""

    def __init__(self, booster: Any) -> None:
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

    def predict(self, matrix: Matrix) -> Matrix:
        """Return the predictions of rows, copied from the buffer that XGBoost keeps for this thread."""
        rows, features = matrix.shape
        interface = _INTERFACE % (matrix.__array_interface__["data"][0], rows, features)
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


def choose_evaluator(booster: Any, example: Matrix) -> Evaluator:
    """Return the quicker evaluator that answers as XGBoost's own Python does, to the bit.

    `booster` predicts with one thread from here on: a server has its workers to use the processors, and
    one row is no work for two.
    """
    booster.set_param({"nthread": 1})
    reference, direct = ThroughPython(booster), ThroughC(booster)
    rng = np.random.default_rng(0)
    rows = (
        rng.normal(size=(_TRIED_ROWS, example.shape[1])) * 10.0 ** rng.integers(-3, 6, _TRIED_ROWS)[:, None]
    )
    rows[rng.random(rows.shape) < 0.1] = np.nan  # noqa: PLR2004  # a tenth
    tried = np.concatenate([example, rows.astype(np.float32)])
    for matrix in (tried, tried[:1]):
        found, expected = direct.predict(matrix), reference.predict(matrix)
        if found.shape != expected.shape or found.tobytes() != expected.tobytes():
            return reference
    return direct
