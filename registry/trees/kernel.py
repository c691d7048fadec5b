"""The walk through a forest, as machine code: made by LLVM when a process first asks for it.

There is no compiler where models are scored, and none is needed. For 64 rows at a time, the walk goes from
tree to tree; in a tree, all rows take a step down together. No branch in it depends on where a row goes, so
the processor works at many rows at once. The sum of a row is taken in float32 and in the order of the trees,
as XGBoost takes it, so both have the same bits.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from llvmlite import binding, ir

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BLOCK_ROWS = 64
# What a forest is handed over as: eight-byte cells, addresses but for the first three.
TABLE = (
    "trees", "features", "words",
    "feature", "threshold", "child", "leaf", "roots", "depths", "sets", "set_words",
)  # fmt: skip
_F32, _I32, _I64, _POINTER, _VOID = (
    ir.FloatType(), ir.IntType(32), ir.IntType(64), ir.PointerType(), ir.VoidType()
)  # fmt: skip
_WORD_SHIFT, _WORD_MASK = 5, 31
# `Sigmoid` of XGBoost, src/common/math.h: no overflow, and no division by zero.
_LARGEST_EXPONENT, _EPSILON = 88.7, 1e-16


def scratch_bytes(features: int) -> int:
    """Return how many bytes a call needs to work in."""
    return 4 * BLOCK_ROWS * (4 * features + 1)


@cache
def compiled(*, has_categories: bool) -> Callable[..., None]:
    """Return the walk: (table, columns, rows, base, is_logistic, scratch, out) to nothing.

    Addresses of `TABLE`; of float32 columns of shape (features, rows); of `scratch_bytes` bytes; and of
    float32 of shape (rows,). Any number of threads may call it at once: it does not hold Python's lock.
    """
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    exponential = ctypes.CDLL(ctypes.util.find_library("m")).expf
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
    address, pointer = engine.get_function_address("walk"), ctypes.c_void_p
    kind = ctypes.CFUNCTYPE(
        None, pointer, pointer, ctypes.c_int64, ctypes.c_float, ctypes.c_int64, pointer, pointer
    )
    walk = kind(address)
    walk.engine = engine  # type: ignore[attr-defined]  # it owns the code
    return walk


def prepare() -> None:
    """Make all code now: for whoever forks, so that its children share it."""
    for has_categories in (False, True):
        compiled(has_categories=has_categories)


def _module(*, has_categories: bool) -> ir.Module:
    module = ir.Module("trees")
    kind = ir.FunctionType(_VOID, [_POINTER, _POINTER, _I64, _F32, _I64, _POINTER, _POINTER])
    function = ir.Function(module, kind, "walk")
    build = ir.IRBuilder(function.append_basic_block())
    table, columns, rows, base, is_logistic, scratch, out = function.args
    cells = {name: _load(build, table, _I64, n) for n, name in enumerate(TABLE)}
    forest = {
        name: build.inttoptr(cell, _POINTER) if n > 2 else cell  # noqa: PLR2004  # numbers come first
        for n, (name, cell) in enumerate(cells.items())
    }
    double = build.mul(forest["features"], _I64(2 * BLOCK_ROWS))
    numbers, codes = scratch, _at(build, scratch, _F32, double)
    places = _at(build, codes, _I32, double)
    blocks = build.udiv(build.add(rows, _I64(BLOCK_ROWS - 1)), _I64(BLOCK_ROWS))
    exponential = ir.Function(module, ir.FunctionType(_F32, [_F32]), "expf")
    with _loop(build, blocks) as block:
        first = build.mul(block, _I64(BLOCK_ROWS))
        left = build.sub(rows, first)
        count = build.select(build.icmp_unsigned("<", left, _I64(BLOCK_ROWS)), left, _I64(BLOCK_ROWS))
        work = _Block(build, forest, count, numbers, codes, places, _at(build, out, _F32, first))
        work.lay_out(_at(build, columns, _F32, first), rows, has_categories=has_categories)
        with _loop(build, count) as row:
            _store(build, base, work.out, _F32, row)
        with _loop(build, forest["trees"]) as tree:
            work.walk(tree, has_categories=has_categories)
        with _loop(build, build.mul(count, is_logistic)) as row:
            total = _load(build, work.out, _F32, row)
            _store(build, _logistic(build, total, exponential), work.out, _F32, row)
    build.ret_void()
    return module


@dataclass(frozen=True)
class _Block:
    """Some rows of a call: where they are laid out, at which nodes they are, and where their sums are.

    `numbers` and `codes` have two columns for each: in the first what is missing goes left, in the second
    right.
    """

    build: ir.IRBuilder
    forest: dict[str, Any]
    count: Any
    numbers: Any
    codes: Any
    places: Any
    out: Any

    def lay_out(self, columns: Any, stride: Any, *, has_categories: bool) -> None:
        build, features = self.build, self.forest["features"]
        # Bits after those of all words: the first is never set, the second always.
        none = build.shl(build.trunc(self.forest["words"], _I32), _I32(_WORD_SHIFT))
        infinity = ir.Constant(_F32, float("inf"))
        with _loop(build, features) as feature, _loop(build, self.count) as row:
            number = _load(build, columns, _F32, build.add(build.mul(feature, stride), row))
            is_missing = build.fcmp_unordered("uno", number, number)
            twice = [
                build.add(build.mul(n, _I64(BLOCK_ROWS)), row)
                for n in (feature, build.add(feature, features))
            ]
            for place, missing in zip(twice, (ir.Constant(_F32, float("-inf")), infinity), strict=True):
                _store(build, build.select(is_missing, missing, number), self.numbers, _F32, place)
            if has_categories:
                known = build.and_(
                    build.fcmp_ordered(">=", number, ir.Constant(_F32, 0.0)),
                    build.fcmp_ordered("<", number, build.uitofp(none, _F32)),
                )
                code = build.fptoui(build.select(known, number, ir.Constant(_F32, 0.0)), _I32)
                for place, missing in zip(twice, (none, build.add(none, _I32(1))), strict=True):
                    unknown = build.select(is_missing, missing, none)
                    _store(build, build.select(known, code, unknown), self.codes, _I32, place)

    def walk(self, tree: Any, *, has_categories: bool) -> None:
        """Walk all rows from the root of a tree to their leaves, and add these to their sums."""
        build, forest = self.build, self.forest
        root = _load(build, forest["roots"], _I32, tree)
        with _loop(build, self.count) as row:
            _store(build, root, self.places, _I32, row)
        depth = build.zext(_load(build, forest["depths"], _I32, tree), _I64)
        with _loop(build, depth), _loop(build, self.count) as row:
            node = build.zext(_load(build, self.places, _I32, row), _I64)
            feature = build.zext(_load(build, forest["feature"], _I32, node), _I64)
            cell = build.add(build.mul(feature, _I64(BLOCK_ROWS)), row)
            number = _load(build, self.numbers, _F32, cell)
            # Unlike "not less", this is never so for NaN, of which leaves and sets of categories have one.
            right = build.zext(
                build.fcmp_ordered(">=", number, _load(build, forest["threshold"], _F32, node)), _I32
            )
            if has_categories:
                code = _load(build, self.codes, _I32, cell)
                at = build.add(_load(build, forest["sets"], _I32, node), build.lshr(code, _I32(_WORD_SHIFT)))
                word = _load(build, forest["set_words"], _I32, build.zext(at, _I64))
                bit = build.lshr(word, build.and_(code, _I32(_WORD_MASK)))
                right = build.or_(right, build.and_(bit, _I32(1)))
            child = _load(build, forest["child"], _I32, node)
            _store(build, build.add(child, right), self.places, _I32, row)
        with _loop(build, self.count) as row:
            node = build.zext(_load(build, self.places, _I32, row), _I64)
            total = build.fadd(_load(build, self.out, _F32, row), _load(build, forest["leaf"], _F32, node))
            _store(build, total, self.out, _F32, row)


def _logistic(build: ir.IRBuilder, total: Any, exponential: ir.Function) -> Any:
    one, largest = ir.Constant(_F32, 1.0), _f32(_LARGEST_EXPONENT)
    negative = build.fneg(total)
    exponent = build.select(build.fcmp_ordered("<", largest, negative), largest, negative)
    grown = build.fadd(build.call(exponential, [exponent]), one)
    return build.fdiv(one, build.fadd(grown, _f32(_EPSILON)))


def _f32(value: float) -> ir.Constant:
    """Return the nearest float32: LLVM takes no other for one."""
    return ir.Constant(_F32, ctypes.c_float(value).value)


def _at(build: ir.IRBuilder, pointer: Any, kind: ir.Type, index: Any) -> Any:
    return build.gep(pointer, [index], source_etype=kind)


def _load(build: ir.IRBuilder, pointer: Any, kind: ir.Type, index: Any) -> Any:
    index = _I64(index) if isinstance(index, int) else index
    return build.load(_at(build, pointer, kind, index), typ=kind)


def _store(build: ir.IRBuilder, value: Any, pointer: Any, kind: ir.Type, index: Any) -> None:
    build.store(value, _at(build, pointer, kind, index))


@contextmanager
def _loop(build: ir.IRBuilder, count: Any) -> Iterator[Any]:
    """Repeat what is built inside, `count` times; yields the number of the turn."""
    before, top, body, after = build.block, *(build.append_basic_block() for _ in range(3))
    build.branch(top)
    build.position_at_end(top)
    turn = build.phi(_I64)
    turn.add_incoming(_I64(0), before)
    build.cbranch(build.icmp_unsigned("<", turn, count), body, after)
    build.position_at_end(body)
    yield turn
    turn.add_incoming(build.add(turn, _I64(1)), build.block)
    build.branch(top)
    build.position_at_end(after)
