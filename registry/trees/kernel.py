"""The walk through a forest, as machine code: made by LLVM when a process first asks for it.

There is no compiler where models are scored, and none is needed. For 64 rows at a time, the walk goes from
tree to tree; in a tree, all rows take a step down together. No branch in it depends on where a row goes, so
the processor works at many rows at once. The sum of a row is taken in float32 and in the order of the trees,
as XGBoost takes it, so both have the same bits.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from llvmlite import ir

from registry.trees.code import Code
from registry.trees.llvm import (
    F32,
    I32,
    I64,
    address_of,
    blocks_of,
    exponential_of,
    function_of,
    loop,
    machine_code,
    read_table,
    store,
)
from registry.trees.walk import BLOCK_ROWS, KNOWN_LEVELS, Block, finish

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.trees.forest import Forest

# What a forest is handed over as. A `step` is where the cells of a feature begin, and below it the child, 32
# bits each.
_NUMBERS = ("trees", "features", "words")
_ARRAYS = ("steps", "threshold", "leaf", "roots", "depths", "sets", "set_words")


def code_of(forest: Forest) -> Code:
    """Return the code of a forest."""
    arrays = {name: getattr(forest, name) for name in _ARRAYS if name != "steps"}
    arrays["steps"] = (forest.feature.astype(np.uint64) * BLOCK_ROWS << 32) | forest.child
    arrays["depths"] = np.maximum(forest.depths, KNOWN_LEVELS) - np.uint32(KNOWN_LEVELS)
    return Code.of(
        compiled(has_categories=forest.has_categories),
        (len(forest.roots), forest.features, forest.words),
        [arrays[name] for name in _ARRAYS],
        4 * BLOCK_ROWS * 4 * forest.features,
        forest.base,
        is_logistic=forest.is_logistic,
    )


@cache
def compiled(*, has_categories: bool) -> Callable[..., None]:
    """Return the walk, for forests with categories or without."""
    return machine_code(_module(has_categories=has_categories), "walk")


def prepare() -> None:
    """Make all code now: for whoever forks, so that its children share it."""
    for has_categories in (False, True):
        compiled(has_categories=has_categories)


def _module(*, has_categories: bool) -> ir.Module:
    module = ir.Module("trees")
    exponential = exponential_of(module)
    with function_of(module, "walk") as (build, arguments):
        table, columns, rows, base, is_logistic, scratch, out = arguments
        forest = read_table(build, table, _NUMBERS, _ARRAYS)
        double = build.mul(forest["features"], I64(2 * BLOCK_ROWS))
        numbers, codes = scratch, address_of(build, scratch, F32, double) if has_categories else None
        places = build.alloca(I32, BLOCK_ROWS)
        with blocks_of(build, rows, BLOCK_ROWS) as (first, count):
            work = Block(build, forest, count, numbers, codes, places, address_of(build, out, F32, first))
            work.lay_out(address_of(build, columns, F32, first), rows)
            with loop(build, count) as row:
                store(build, base, work.out, F32, row)
            with loop(build, forest["trees"]) as tree:
                work.walk(tree)
            finish(build, work.out, build.mul(count, is_logistic), exponential)
    return module
