"""Words of LLVM's language that trees are asked in: loads, stores and loops over arrays."""

from __future__ import annotations

import ctypes
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from llvmlite import binding, ir

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

F32, I8, I32, I64, POINTER, VOID = (
    ir.FloatType(), *map(ir.IntType, (8, 32, 64)), ir.PointerType(), ir.VoidType()
)  # fmt: skip


def f32(value: float) -> ir.Constant:
    """Return the nearest float32: LLVM takes no other for one."""
    return ir.Constant(F32, ctypes.c_float(value).value)


def address_of(build: ir.IRBuilder, pointer: Any, kind: ir.Type, index: Any) -> Any:
    """Return where an element of an array lies."""
    return build.gep(pointer, [index], source_etype=kind)


def load(build: ir.IRBuilder, pointer: Any, kind: ir.Type, index: Any) -> Any:
    """Read an element of an array."""
    index = I64(index) if isinstance(index, int) else index
    return build.load(address_of(build, pointer, kind, index), typ=kind)


def store(build: ir.IRBuilder, value: Any, pointer: Any, kind: ir.Type, index: Any) -> None:
    """Write an element of an array."""
    build.store(value, address_of(build, pointer, kind, index))


def room(build: ir.IRBuilder, kind: ir.Type, count: int) -> Any:
    """Return where so many elements can lie until the function ends; vectors of 64 bytes may, too."""
    found = build.alloca(kind, count)
    found.align = 64
    found.type = POINTER  # as what comes from outside: it can hold, and be read as, any type
    return found


def in_all(build: ir.IRBuilder, value: Any, lanes: int) -> Any:
    """Return a vector that is a value over and over."""
    nothing = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
    first = build.insert_element(nothing, value, I32(0))
    return build.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(I32, lanes), None))


@contextmanager
def loop(build: ir.IRBuilder, count: Any) -> Iterator[Any]:
    """Repeat what is built inside, `count` times; yields the number of the turn."""
    before, top, body, after = build.block, *(build.append_basic_block() for _ in range(3))
    build.branch(top)
    build.position_at_end(top)
    turn = build.phi(I64)
    turn.add_incoming(I64(0), before)
    build.cbranch(build.icmp_unsigned("<", turn, count), body, after)
    build.position_at_end(body)
    yield turn
    turn.add_incoming(build.add(turn, I64(1)), build.block)
    build.branch(top)
    build.position_at_end(after)


@contextmanager
def function_of(module: ir.Module, name: str) -> Iterator[tuple[ir.IRBuilder, Sequence[Any]]]:
    """Write the function that a `Code` calls; yields its arguments."""
    kind = ir.FunctionType(VOID, [POINTER, POINTER, I64, F32, I64, POINTER, POINTER])
    function = ir.Function(module, kind, name)
    build = ir.IRBuilder(function.append_basic_block())
    for each in function.args:
        if each.type == POINTER:
            each.add_attribute("noalias")
    yield build, function.args
    build.ret_void()


def read_table(
    build: ir.IRBuilder, table: Any, numbers: Sequence[str], arrays: Sequence[str]
) -> dict[str, Any]:
    """Return what the cells of a `Code` hold, by name."""
    found = {name: load(build, table, I64, n) for n, name in enumerate((*numbers, *arrays))}
    return found | {name: build.inttoptr(found[name], POINTER) for name in arrays}


@contextmanager
def blocks_of(build: ir.IRBuilder, rows: Any, size: int) -> Iterator[tuple[Any, Any]]:
    """Repeat what is built inside for so many rows at a time; yields the first of them, and how many."""
    blocks = build.udiv(build.add(rows, I64(size - 1)), I64(size))
    with loop(build, blocks) as block:
        first = build.mul(block, I64(size))
        left = build.sub(rows, first)
        yield first, build.select(build.icmp_unsigned("<", left, I64(size)), left, I64(size))


def exponential_of(module: ir.Module) -> ir.Function:
    """Return the C library's `expf`, for a module that calls it."""
    found = ctypes.CDLL(None).expf
    binding.add_symbol("expf", ctypes.cast(found, ctypes.c_void_p).value)
    return ir.Function(module, ir.FunctionType(F32, [F32]), "expf")


def machine_code(module: ir.Module, name: str) -> Callable[..., None]:
    """Make the code of a module for this processor; return the function of it that a `Code` calls."""
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    machine = binding.Target.from_default_triple().create_target_machine(
        cpu=binding.get_host_cpu_name(), features=binding.get_host_cpu_features().flatten(), opt=3
    )
    parsed = binding.parse_assembly(str(module))
    parsed.verify()
    passes = binding.create_pass_builder(machine, binding.create_pipeline_tuning_options(speed_level=3))
    passes.getModulePassManager().run(parsed, passes)
    engine = binding.create_mcjit_compiler(parsed, machine)
    engine.finalize_object()
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    kind = ctypes.CFUNCTYPE(None, pointer, pointer, number, ctypes.c_float, number, pointer, pointer)
    function = kind(engine.get_function_address(name))
    function.engine = engine  # type: ignore[attr-defined]  # it owns the code
    return function
