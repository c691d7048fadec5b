"""What 64 rows answer to the questions of a tree, in instructions that every processor has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from llvmlite import ir

from registry.trees.llvm import F32, I8, I32, I64, address_of, load, loop, room, store
from registry.trees.walk import BLOCK_ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

BYTES = ir.VectorType(I8, BLOCK_ROWS)
WORDS = ir.VectorType(I32, BLOCK_ROWS // 4)
_FOUR_TIMES = np.uint32(0x01010101)


class Asking(Protocol):
    """How rows are asked, and their leaves added up. A turn says of each row of a block where it goes."""

    @staticmethod
    def bounds_of(least: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
        """Return what bins are held against: in each byte the least that goes right, or what says as much."""

    @staticmethod
    def leaves_of(leaf: npt.NDArray[np.float32]) -> npt.NDArray[np.generic]:
        """Return leaves, which are of shape (trees, leaves), as they are looked up."""

    def begin(self, base: Any) -> None:
        """Begin all sums of a block at `base`."""

    def goes_right(self, bins: Any, bound: Any) -> Any:
        """Return the turn of rows at a node, from their bins and its bound."""

    def chosen(self, turn: Any, right: Any, left: Any) -> Any:
        """Return a turn that is one of two, by another."""

    def add(self, turns: Sequence[Any], leaves: Any, tree: Any) -> None:
        """Add to each sum the leaf of a tree that the turns of its row lead to."""

    def sums(self) -> Any:
        """Return where the sums of a block lie, by row."""


class Plain:
    """Bins are compared, and each row looks up its leaf."""

    def __init__(self, _: ir.Module, build: ir.IRBuilder, levels: int) -> None:
        self._build, self._levels = build, levels
        self._sums, self._ends = room(build, F32, BLOCK_ROWS), room(build, I8, BLOCK_ROWS)

    @staticmethod
    def bounds_of(least: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
        """Return the least bin four times over."""
        return least * _FOUR_TIMES

    @staticmethod
    def leaves_of(leaf: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return them as they are."""
        return leaf

    def begin(self, base: Any) -> None:
        """Begin all sums of a block at `base`."""
        with loop(self._build, I64(BLOCK_ROWS)) as row:
            store(self._build, base, self._sums, F32, row)

    def goes_right(self, bins: Any, bound: Any) -> Any:
        """Return a bit for each row."""
        return self._build.icmp_unsigned(">=", bins, bound)

    def chosen(self, turn: Any, right: Any, left: Any) -> Any:
        """Return a turn that is one of two, by another."""
        return self._build.select(turn, right, left)

    def add(self, turns: Sequence[Any], leaves: Any, tree: Any) -> None:
        """Add a leaf to each sum. The turns of a row, the first of them the highest bit, say which."""
        build, ends = self._build, ir.Constant(BYTES, None)
        for level, turn in enumerate(turns):
            bit = ir.Constant(BYTES, [I8(2 ** (self._levels - 1 - level))] * BLOCK_ROWS)
            ends = build.or_(ends, build.select(turn, bit, ir.Constant(BYTES, None)))
        build.store(ends, self._ends, align=BLOCK_ROWS)
        of_tree = address_of(build, leaves, F32, build.mul(tree, I64(2**self._levels)))
        with loop(build, I64(BLOCK_ROWS)) as row:
            leaf = load(build, of_tree, F32, build.zext(load(build, self._ends, I8, row), I64))
            store(build, build.fadd(load(build, self._sums, F32, row), leaf), self._sums, F32, row)

    def sums(self) -> Any:
        """Return where the sums of a block lie, by row."""
        return self._sums
