"""The walk through a forest, as machine code: made by LLVM when a process first asks for it.

There is no compiler where models are scored, and none is needed. For 64 rows at a time, the walk goes from
tree to tree; in a tree, all rows take a step down together. No branch in it depends on where a row goes, so
the processor works at many rows at once. The sum of a row is taken in float32 and in the order of the trees,
as XGBoost takes it, so both have the same bits.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import binding, ir

from registry.trees.llvm import F32, I32, I64, POINTER, VOID, address_of, load, loop, store
from registry.trees.walk import BLOCK_ROWS, KNOWN_LEVELS, Block, logistic

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from registry.trees.forest import Forest

# What a forest is handed over as: eight-byte cells, addresses but for the first three. A `step` is where the
# cells of a feature begin, and below it the child, 32 bits each.
_NUMBERS = ("trees", "features", "words")
_ARRAYS = ("steps", "threshold", "leaf", "roots", "depths", "sets", "set_words")


@dataclass(frozen=True, eq=False)
class LaidOut:
    """A forest as the walk takes it; `table` is the address of the cells, which lead to the arrays."""

    cells: npt.NDArray[np.uint64]
    arrays: tuple[npt.NDArray[Any], ...]

    @classmethod
    def of(cls, forest: Forest) -> LaidOut:
        """Lay out a forest."""
        arrays = {name: getattr(forest, name, None) for name in _ARRAYS}
        arrays["steps"] = (forest.feature.astype(np.uint64) * BLOCK_ROWS << 32) | forest.child
        arrays["depths"] = np.maximum(forest.depths, KNOWN_LEVELS) - np.uint32(KNOWN_LEVELS)
        found = tuple(np.ascontiguousarray(arrays[name]) for name in _ARRAYS)
        numbers = (len(forest.roots), forest.features, forest.words)
        return cls(np.array([*numbers, *map(address, found)], np.uint64), found)

    @property
    def table(self) -> int:
        """The address of the cells."""
        return address(self.cells)


def address(array: npt.NDArray[Any]) -> int:
    """Return where an array lies."""
    found: int = array.__array_interface__["data"][0]
    return found


def scratch_bytes(features: int) -> int:
    """Return how many bytes a call needs to work in."""
    return 4 * BLOCK_ROWS * 4 * features


@cache
def compiled(*, has_categories: bool) -> Callable[..., None]:
    """Return the walk: (table, columns, rows, base, is_logistic, scratch, out) to nothing.

    Addresses of a `LaidOut.table`; of float32 columns of shape (features, rows); of `scratch_bytes` bytes;
    and of float32 of shape (rows,). Any number of threads may call it at once; none holds Python's lock.
    """
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    exponential = ctypes.CDLL(None).expf
    binding.add_symbol("expf", ctypes.cast(exponential, ctypes.c_void_p).value)
    machine = binding.Target.from_default_triple().create_target_machine(
        cpu=binding.get_host_cpu_name(), features=binding.get_host_cpu_features().flatten(), opt=3
    )
    module = binding.parse_assembly(str(_module(has_categories=has_categories)))
    module.verify()
    passes = binding.create_pass_builder(machine, binding.create_pipeline_tuning_options(speed_level=3))
    passes.getModulePassManager().run(module, passes)
    engine = binding.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    kind = ctypes.CFUNCTYPE(None, pointer, pointer, number, ctypes.c_float, number, pointer, pointer)
    walk = kind(engine.get_function_address("walk"))
    walk.engine = engine  # type: ignore[attr-defined]  # it owns the code
    return walk


def prepare() -> None:
    """Make all code now: for whoever forks, so that its children share it."""
    for has_categories in (False, True):
        compiled(has_categories=has_categories)


def _module(*, has_categories: bool) -> ir.Module:
    module = ir.Module("trees")
    kind = ir.FunctionType(VOID, [POINTER, POINTER, I64, F32, I64, POINTER, POINTER])
    function = ir.Function(module, kind, "walk")
    build = ir.IRBuilder(function.append_basic_block())
    table, columns, rows, base, is_logistic, scratch, out = function.args
    for each in (table, columns, scratch, out):
        each.add_attribute("noalias")
    forest = {name: load(build, table, I64, n) for n, name in enumerate((*_NUMBERS, *_ARRAYS))}
    forest |= {name: build.inttoptr(forest[name], POINTER) for name in _ARRAYS}
    double = build.mul(forest["features"], I64(2 * BLOCK_ROWS))
    numbers, codes = scratch, address_of(build, scratch, F32, double) if has_categories else None
    places = build.alloca(I32, BLOCK_ROWS)
    blocks = build.udiv(build.add(rows, I64(BLOCK_ROWS - 1)), I64(BLOCK_ROWS))
    exponential = ir.Function(module, ir.FunctionType(F32, [F32]), "expf")
    with loop(build, blocks) as block:
        first = build.mul(block, I64(BLOCK_ROWS))
        left = build.sub(rows, first)
        count = build.select(build.icmp_unsigned("<", left, I64(BLOCK_ROWS)), left, I64(BLOCK_ROWS))
        work = Block(build, forest, count, numbers, codes, places, address_of(build, out, F32, first))
        work.lay_out(address_of(build, columns, F32, first), rows)
        with loop(build, count) as row:
            store(build, base, work.out, F32, row)
        with loop(build, forest["trees"]) as tree:
            work.walk(tree)
        with loop(build, build.mul(count, is_logistic)) as row:
            total = load(build, work.out, F32, row)
            store(build, logistic(build, total, exponential), work.out, F32, row)
    build.ret_void()
    return module
