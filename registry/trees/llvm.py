"""Words of LLVM's language that the walk is written in: loads, stores and loops over arrays."""

from __future__ import annotations

import ctypes
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from llvmlite import ir

if TYPE_CHECKING:
    from collections.abc import Iterator

F32, I32, I64, POINTER, VOID = (
    ir.FloatType(), ir.IntType(32), ir.IntType(64), ir.PointerType(), ir.VoidType()
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
