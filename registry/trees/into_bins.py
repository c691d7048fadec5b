"""Numbers into bins, as machine code: how many cuts of its feature are not above each number of a block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llvmlite import ir

from registry.trees.asking import BYTES
from registry.trees.llvm import F32, I8, I64, address_of, in_all, load, loop, room, store
from registry.trees.walk import BLOCK_ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

# Held against a number at once: the last of each stretch of so many cuts, and then the cuts of one stretch.
STRETCH = 16
_I16 = ir.IntType(16)
_STRETCH = ir.VectorType(F32, STRETCH)
_NUMBERS = ir.VectorType(F32, BLOCK_ROWS)


class IntoBins:
    """Counts cuts. Of what is missing it says the first bin, and in the second column the last."""

    def __init__(self, module: ir.Module, build: ir.IRBuilder) -> None:
        self._build = build
        self._ones = ir.Function(module, ir.FunctionType(_I16, [_I16]), "llvm.ctpop.i16")
        self._numbers, self._found = room(build, F32, BLOCK_ROWS), room(build, I8, BLOCK_ROWS)
        # Of a block that is not full, the rest is what was there before, and nobody looks at it.
        build.store(ir.Constant(_NUMBERS, None), self._numbers, align=BLOCK_ROWS)

    def lay_out(self, column: Any, count: Any, ends: Any, cuts: Any, twice: Sequence[Any]) -> None:
        """Put so many numbers of a column into bins; `ends` are the last cuts of stretches."""
        build = self._build
        with loop(build, count) as row:
            store(build, load(build, column, F32, row), self._numbers, F32, row)
        last = build.load(ends, typ=_STRETCH, align=4)
        with loop(build, I64(BLOCK_ROWS)) as row:
            number = in_all(build, load(build, self._numbers, F32, row), STRETCH)
            stretch = self._not_above(last, number)
            # There are at most 255 cuts, so the last stretch is never whole.
            begins = build.zext(build.mul(stretch, _I16(STRETCH)), I64)
            within = build.load(address_of(build, cuts, F32, begins), typ=_STRETCH, align=4)
            found = build.add(build.mul(stretch, _I16(STRETCH)), self._not_above(within, number))
            store(build, build.trunc(found, I8), self._found, I8, row)
        numbers = build.load(self._numbers, typ=_NUMBERS, align=BLOCK_ROWS)
        found = build.load(self._found, typ=BYTES, align=BLOCK_ROWS)
        is_missing = build.sext(build.fcmp_unordered("uno", numbers, numbers), BYTES)
        for place, bins in zip(twice, (found, build.or_(found, is_missing)), strict=True):
            build.store(bins, place, align=BLOCK_ROWS)

    def _not_above(self, cuts: Any, number: Any) -> Any:
        is_reached = self._build.fcmp_ordered("<=", cuts, number)
        return self._build.call(self._ones, [self._build.bitcast(is_reached, _I16)])


def ends_of(cuts: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the last cut of each stretch, of cuts of shape (features, 256)."""
    return cuts[:, STRETCH - 1 :: STRETCH]
