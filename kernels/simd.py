"""Give Numba kernels the vector instructions it has no word for: 64-byte copies and reads, fences.

Follows: LLVM's generic vector IR, which every target splits to the registers that it has.
Leaves out: loops, alignment heads and tails (copy.py, read.py); they belong to the kernels.

Addresses are plain integers (`address_of`); nothing here checks them. Numba's on-disk
cache follows the kernel's own file, not this one: after an edit here delete kernels/__pycache__.

Under ``NUMBA_DISABLE_JIT=1`` every intrinsic is its Python twin, so that kernels run interpreted.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

LINE_BYTES = 64  # one cache line, and one vector of everything below
CHUNK_BYTES = 1024  # what `xor_chunk` reads
STRIDE_BYTES = 4096  # between the lines of `copy_four_lines_nontemporal`: one page

_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_LINE = ir.VectorType(_I64, LINE_BYTES // 8)
_X86 = ("x86_64", "amd64", "i386", "i486", "i586", "i686")
_CHAINS = 4  # independent xor chains: enough to hide the latency of an L1 load


def _with_twin(twin: Callable[..., Any]) -> Callable[[Callable[..., Any]], Any]:
    """Make the decorated typing function an intrinsic, or its twin when nothing is compiled."""
    return lambda typing: twin if config.DISABLE_JIT else intrinsic(typing)


# Not kept on disk: processes that compile at the same time would all write to its one file.
@njit(nogil=True)
def address_of(array):
    """Return where an array's first value lies, int64.

    Numba's own ``array.ctypes.data`` is unsigned, and unsigned plus signed makes a float64.
    """
    return np.int64(array.ctypes.data)


def _pointer(builder: ir.IRBuilder, address: ir.Value, pointee: ir.Type) -> ir.Value:
    return builder.inttoptr(address, pointee.as_pointer())


def _load(builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
    return builder.load(_pointer(builder, address, _LINE), align=1)


def _store_nontemporal(builder: ir.IRBuilder, line: ir.Value, address: ir.Value) -> None:
    store = builder.store(line, _pointer(builder, address, line.type), align=LINE_BYTES)
    store.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(_I32, 1)]))


def _copy_byte_twin(destination: int, source: int) -> None:
    ctypes.memmove(int(destination), int(source), 1)


@_with_twin(_copy_byte_twin)
def copy_byte(typing_context, destination, source):
    """Copy one byte from one address to another."""

    def generate(context, builder, signature, arguments):
        to, start = (_pointer(builder, address, _I8) for address in arguments)
        builder.store(builder.load(start), to)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), generate


def _copy_line_twin(destination: int, source: int) -> None:
    ctypes.memmove(int(destination), int(source), LINE_BYTES)


@_with_twin(_copy_line_twin)
def copy_line(typing_context, destination, source):
    """Copy 64 bytes from one address to another, any alignment, through the cache."""

    def generate(context, builder, signature, arguments):
        to, start = arguments
        builder.store(_load(builder, start), _pointer(builder, to, _LINE), align=1)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), generate


@_with_twin(_copy_line_twin)
def copy_line_nontemporal(typing_context, destination, source):
    """Copy 64 bytes past the cache; the destination must be a multiple of 64 (it traps otherwise).

    A full line written this way is not read first, which saves a third of a copy's traffic. The
    stores are weakly ordered: end every run of them with `store_fence`.
    """

    def generate(context, builder, signature, arguments):
        to, start = arguments
        _store_nontemporal(builder, _load(builder, start), to)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), generate


def _copy_four_lines_twin(destination: int, source: int) -> None:
    for offset in range(0, 4 * STRIDE_BYTES, STRIDE_BYTES):
        _copy_line_twin(destination + offset, source + offset)


@_with_twin(_copy_four_lines_twin)
def copy_four_lines_nontemporal(typing_context, destination, source):
    """Copy four lines that lie a page apart past the cache; the destination a multiple of 64.

    All loads come before all stores: a load whose address equals a recent store's in its low 12
    bits waits for that store (measured on Zen 3: 4.6 GB/s in the other order, 19.5 in this one).
    """

    def generate(context, builder, signature, arguments):
        to, start = arguments
        offsets = [ir.Constant(_I64, number * STRIDE_BYTES) for number in range(4)]
        lines = [_load(builder, builder.add(start, offset)) for offset in offsets]
        for line, offset in zip(lines, offsets, strict=True):
            _store_nontemporal(builder, line, builder.add(to, offset))
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), generate


def _fence(builder: ir.IRBuilder) -> None:
    if builder.module.triple.split("-")[0] not in _X86:
        builder.fence("seq_cst")
        return
    # x86 orders ordinary stores by itself; only non-temporal ones need sfence, which costs less
    # than the mfence of seq_cst. The release fence emits nothing, it keeps LLVM from moving stores.
    builder.fence("release")
    nothing = ir.FunctionType(ir.VoidType(), [])
    sfence = cgutils.get_or_insert_function(builder.module, nothing, "llvm.x86.sse.sfence")
    builder.call(sfence, [])


def _store_fence_twin() -> None:
    """Do nothing: interpreted copies are ordinary stores."""


@_with_twin(_store_fence_twin)
def store_fence(typing_context):
    """Make all earlier stores, non-temporal ones too, visible before any later one."""

    def generate(context, builder, signature, arguments):
        _fence(builder)
        return context.get_dummy_value()

    return types.void(), generate


def _prefetch_twin(address: int) -> None:
    """Do nothing: a prefetch changes no result."""


@_with_twin(_prefetch_twin)
def prefetch(typing_context, address):
    """Ask for the cache line at an address, to be read soon and kept; any address is allowed."""

    def generate(context, builder, signature, arguments):
        pointer = _I8.as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [pointer, _I32, _I32, _I32])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        read, keep_in_all_levels, of_data = (ir.Constant(_I32, value) for value in (0, 3, 1))
        line = builder.inttoptr(arguments[0], pointer)
        builder.call(function, [line, read, keep_in_all_levels, of_data])
        return context.get_dummy_value()

    return types.void(types.intp), generate


def _xor_chunk_twin(address: int) -> np.uint64:
    words = (ctypes.c_uint64 * (CHUNK_BYTES // 8)).from_address(int(address))
    return np.bitwise_xor.reduce(np.frombuffer(words, np.uint64))


@_with_twin(_xor_chunk_twin)
def xor_chunk(typing_context, address):
    """Return the exclusive or of the 128 uint64 words in the 1,024 bytes at an address."""

    def generate(context, builder, signature, arguments):
        chains: list[Any] = [None] * _CHAINS
        for number in range(CHUNK_BYTES // LINE_BYTES):
            offset = builder.add(arguments[0], ir.Constant(_I64, number * LINE_BYTES))
            line = _load(builder, offset)
            chain = chains[number % _CHAINS]
            chains[number % _CHAINS] = line if chain is None else builder.xor(chain, line)
        pair, other = builder.xor(chains[0], chains[1]), builder.xor(chains[2], chains[3])
        name = f"llvm.vector.reduce.xor.v{_LINE.count}i64"
        reduce = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_I64, [_LINE]), name
        )
        return builder.call(reduce, [builder.xor(pair, other)])

    return types.uint64(types.intp), generate
