"""The walk of a block of rows, tree by tree, in LLVM's language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llvmlite import ir

from registry.trees.llvm import F32, I32, I64, f32, load, loop, store

if TYPE_CHECKING:
    from collections.abc import Sequence

BLOCK_ROWS = 64
# So many levels of a tree are walked by many rows in one instruction, with all of their nodes at hand. With
# one more there is too much to choose from: measured.
KNOWN_LEVELS = 4
_WORD_SHIFT, _WORD_MASK = 5, 31
# `Sigmoid` of XGBoost, src/common/math.h: no overflow, and no division by zero.
_LARGEST_EXPONENT, _EPSILON = 88.7, 1e-16


@dataclass(frozen=True)
class _Node:
    """A node: which cells of the rows it looks at, what it holds them against, and where its children are."""

    cells: Any
    child: Any
    threshold: Any
    set: Any


@dataclass(frozen=True)
class Block:
    """Some rows of a call: where they are laid out, at which nodes they are, and where their sums are.

    `numbers` and `codes` have two columns for each: in the first what is missing goes left, in the second
    right. Where no forest has categories there are no `codes`.
    """

    build: ir.IRBuilder
    forest: dict[str, Any]
    count: Any
    numbers: Any
    codes: Any | None
    places: Any
    out: Any

    def lay_out(self, columns: Any, stride: Any) -> None:
        """Copy the rows from columns that are `stride` apart."""
        build, features = self.build, self.forest["features"]
        # Bits after those of all words: the first is never set, the second always.
        none = build.shl(build.trunc(self.forest["words"], I32), I32(_WORD_SHIFT))
        zero, infinite = ir.Constant(F32, 0.0), ir.Constant(F32, float("inf"))
        with loop(build, features) as feature, loop(build, self.count) as row:
            number = load(build, columns, F32, build.add(build.mul(feature, stride), row))
            is_missing = build.fcmp_unordered("uno", number, number)
            twice = [
                build.add(build.mul(each, I64(BLOCK_ROWS)), row)
                for each in (feature, build.add(feature, features))
            ]
            for cell, missing in zip(twice, (build.fneg(infinite), infinite), strict=True):
                store(build, build.select(is_missing, missing, number), self.numbers, F32, cell)
            if self.codes is not None:
                known = build.and_(
                    build.fcmp_ordered(">=", number, zero),
                    build.fcmp_ordered("<", number, build.uitofp(none, F32)),
                )
                code = build.fptoui(build.select(known, number, zero), I32)
                for cell, missing in zip(twice, (none, build.add(none, I32(1))), strict=True):
                    unknown = build.select(is_missing, missing, none)
                    store(build, build.select(known, code, unknown), self.codes, I32, cell)

    def walk(self, tree: Any) -> None:
        """Walk all rows from the root of a tree to their leaves, and add these to their sums."""
        build = self.build
        # The first nodes are few, and known before any row is: LLVM takes many rows in one instruction there.
        levels = [[self._node(load(build, self.forest["roots"], I32, tree))]]
        for _ in range(KNOWN_LEVELS - 1):
            levels.append(
                [self._node(build.add(node.child, I32(side))) for node in levels[-1] for side in (0, 1)]
            )
        with loop(build, self.count) as row:
            turns: list[Any] = []
            for level in levels:
                seen = [(*vars(node).values(), *self._looked_at(node, row)) for node in level]
                *node, number, code = (self._chosen(turns, each) for each in zip(*seen, strict=True))
                turns.append(self._goes_right(_Node(*node), number, code))
            self._go(_Node(*node), turns[-1], row)
        depth = build.zext(load(build, self.forest["depths"], I32, tree), I64)
        with loop(build, depth), loop(build, self.count) as row:
            at = self._node(load(build, self.places, I32, row))
            self._go(at, self._goes_right(at, *self._looked_at(at, row)), row)
        with loop(build, self.count) as row:
            at = build.zext(load(build, self.places, I32, row), I64)
            leaf = load(build, self.forest["leaf"], F32, at)
            store(build, build.fadd(load(build, self.out, F32, row), leaf), self.out, F32, row)

    def _chosen(self, turns: Sequence[Any], of_nodes: Sequence[Any]) -> Any:
        """Return what is of the node that turns lead to, out of what is of each node of a level."""
        for turn in turns:
            half = len(of_nodes) // 2
            pairs = zip(of_nodes[half:], of_nodes[:half], strict=True)
            of_nodes = [right and self.build.select(turn, right, left) for right, left in pairs]
        return of_nodes[0]

    def _node(self, number: Any) -> _Node:
        build, at = self.build, self.build.zext(number, I64)
        both = load(build, self.forest["steps"], I64, at)
        chosen = None if self.codes is None else load(build, self.forest["sets"], I32, at)
        threshold = load(build, self.forest["threshold"], F32, at)
        return _Node(build.lshr(both, I64(32)), build.trunc(both, I32), threshold, chosen)

    def _looked_at(self, node: _Node, row: Any) -> tuple[Any, Any]:
        """Return the number of a row that a node looks at, and its code where there are categories."""
        build, cell = self.build, self.build.add(node.cells, row)
        code = None if self.codes is None else load(build, self.codes, I32, cell)
        return load(build, self.numbers, F32, cell), code

    def _go(self, node: _Node, is_right: Any, row: Any) -> None:
        place = self.build.add(node.child, self.build.zext(is_right, I32))
        store(self.build, place, self.places, I32, row)

    def _goes_right(self, node: _Node, number: Any, code: Any) -> Any:
        build = self.build
        # Unlike "not less", this is never so for NaN, of which leaves and sets of categories have one.
        is_right = build.fcmp_ordered(">=", number, node.threshold)
        if self.codes is None:
            return is_right
        at = build.add(node.set, build.lshr(code, I32(_WORD_SHIFT)))
        word = load(build, self.forest["set_words"], I32, build.zext(at, I64))
        bit = build.lshr(word, build.and_(code, I32(_WORD_MASK)))
        return build.or_(is_right, build.trunc(bit, ir.IntType(1)))


def finish(build: ir.IRBuilder, out: Any, count: Any, exponential: ir.Function) -> None:
    """Turn so many sums into what the logistic function makes of them."""
    with loop(build, count) as row:
        store(build, logistic(build, load(build, out, F32, row), exponential), out, F32, row)


def logistic(build: ir.IRBuilder, total: Any, exponential: ir.Function) -> Any:
    """Return the logistic function of a sum, in the steps of XGBoost; `exponential` is the C library's."""
    one, largest = ir.Constant(F32, 1.0), f32(_LARGEST_EXPONENT)
    negative = build.fneg(total)
    exponent = build.select(build.fcmp_ordered("<", largest, negative), largest, negative)
    grown = build.fadd(build.call(exponential, [exponent]), one)
    return build.fdiv(one, build.fadd(grown, f32(_EPSILON)))
