"""What 64 rows answer to the questions of a tree, in instructions of AVX-512 VBMI.

A turn is the highest bit of a byte for each row; the other bits mean nothing. Three instructions do nearly
all there is to do. The mean of a bin and of what is lacking to 255 from the least bin reaches the highest bit
where the bin is large enough: `vpavgb` asks 64 rows. `vpternlog` chooses between two turns by a third, which
mask registers need three instructions for. And `vpermb` looks up one byte of the leaves of 64 rows.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import binding, ir

from registry.trees.asking import BYTES, Plain
from registry.trees.llvm import F32, I8, I32, I64, address_of, in_all, room
from registry.trees.walk import BLOCK_ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

# One instruction chooses from so many leaves, by the last turns; and there is one for each byte of a float32.
_LEAVES, _LAST_TURNS, _PLANES = 64, 6, 4
# A vector has so many floats: four of 16 bytes, within which halves are interleaved.
_FLOATS, _FOUR = 16, 4
_HIGHEST = 7
_SUMS = ir.VectorType(F32, _FLOATS)
_PAIRS = ir.VectorType(ir.IntType(16), BLOCK_ROWS // 2)


@cache
def is_known_here() -> bool:
    """Say whether this processor has the instructions."""
    return bool(binding.get_host_cpu_features().get("avx512vbmi"))


class Wide:
    """Rows are asked and looked up 64 at once; sums stay in registers, in the order that leaves come in."""

    def __init__(self, module: ir.Module, build: ir.IRBuilder, levels: int) -> None:
        self._build, self._levels = build, levels
        of_bytes = ir.FunctionType(BYTES, [BYTES, BYTES])
        self._mean = ir.Function(module, of_bytes, "llvm.x86.avx512.pavg.b.512")
        self._look_up = ir.Function(module, of_bytes, "llvm.x86.avx512.permvar.qi.512")
        self._rows = room(build, F32, BLOCK_ROWS)
        self._parts = [room(build, _SUMS, 1) for _ in range(BLOCK_ROWS // _FLOATS)]

    @staticmethod
    def bounds_of(least: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
        """Return four times what is lacking to 255 from the least bin."""
        return ~Plain.bounds_of(least)

    @staticmethod
    def leaves_of(leaf: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
        """Return tables of 64 leaves, of shape (trees, tables, 4, 64): all first bytes, then the second."""
        trees, leaves = leaf.shape
        filled = np.zeros((trees, max(leaves, _LEAVES)), "<f4")
        filled[:, :leaves] = leaf
        return filled.view(np.uint8).reshape(trees, -1, _LEAVES, _PLANES).swapaxes(2, 3)

    def begin(self, base: Any) -> None:
        """Begin all sums of a block at `base`."""
        for part in self._parts:
            self._build.store(in_all(self._build, base, _FLOATS), part)

    def goes_right(self, bins: Any, bound: Any) -> Any:
        """Return the turn of rows at a node."""
        return self._build.call(self._mean, [bins, bound])

    def chosen(self, turn: Any, right: Any, left: Any) -> Any:
        """Return a turn that is one of two, by another."""
        build = self._build
        return build.xor(build.and_(build.xor(right, left), turn), left)

    def add(self, turns: Sequence[Any], leaves: Any, tree: Any) -> None:
        """Add a leaf to each sum: the last turns say which of a table, the first of which table."""
        build = self._build
        of_table = turns[: max(0, self._levels - _LAST_TURNS)]
        is_right = [build.icmp_signed("<", turn, ir.Constant(BYTES, None)) for turn in of_table]
        place = self._place(turns[len(of_table) :])
        tables = 2 ** len(of_table)
        first = build.mul(tree, I64(tables * _PLANES * _LEAVES))
        planes = []
        for plane in range(_PLANES):
            found = []
            for table in range(tables):
                at = build.add(first, I64((table * _PLANES + plane) * _LEAVES))
                of_plane = build.load(address_of(build, leaves, I8, at), typ=BYTES, align=1)
                found.append(build.call(self._look_up, [of_plane, place]))
            for turn in is_right:
                half = len(found) // 2
                pairs = zip(found[half:], found[:half], strict=True)
                found = [build.select(turn, right, left) for right, left in pairs]
            planes += found
        for part, some in zip(self._parts, self._floats(planes), strict=True):
            build.store(build.fadd(build.load(part, typ=_SUMS), some), part)

    def sums(self) -> Any:
        """Return where the sums of a block lie, by row: of each sixteen, part n has rows 4n to 4n + 3."""
        build, kind = self._build, ir.VectorType(I32, _FOUR)
        for number, part in enumerate(self._parts):
            some = build.load(part, typ=_SUMS)
            for lane in range(_FOUR):
                lanes = ir.Constant(kind, [I32(lane * _FOUR + n) for n in range(_FOUR)])
                at = address_of(build, self._rows, F32, I64(lane * _FLOATS + number * _FOUR))
                build.store(build.shuffle_vector(some, some, lanes), at, align=4)
        return self._rows

    def _place(self, turns: Sequence[Any]) -> Any:
        """Return the number that turns spell, the first of them its highest bit."""
        build, place = self._build, ir.Constant(BYTES, None)
        for bit, turn in enumerate(reversed(turns)):
            moved = build.lshr(turn, ir.Constant(BYTES, [I8(_HIGHEST - bit)] * BLOCK_ROWS))
            place = build.or_(place, build.and_(moved, ir.Constant(BYTES, [I8(2**bit)] * BLOCK_ROWS)))
        return place

    def _floats(self, planes: Sequence[Any]) -> list[Any]:
        """Put numbers together from their bytes, sixteen to a vector."""
        build = self._build
        halves = [
            [build.bitcast(pairs, _PAIRS) for pairs in self._interleaved(*two)]
            for two in (planes[:2], planes[2:])
        ]
        return [
            build.bitcast(four, _SUMS)
            for two in zip(*halves, strict=True)
            for four in self._interleaved(*two)
        ]

    def _interleaved(self, first: Any, second: Any) -> list[Any]:
        """Return elements of both by turns: of the first half of each 16 bytes, and of the second."""
        count = first.type.count
        each, kind = count // _FOUR, ir.VectorType(I32, count)
        halves = [
            [I32(at) for n in range(count) if (n % each >= each // 2) is is_second for at in (n, n + count)]
            for is_second in (False, True)
        ]
        return [self._build.shuffle_vector(first, second, ir.Constant(kind, half)) for half in halves]
