"""Let Numba code share memory with the kernel, and call it: ordered loads and stores, system calls.

Follows: LLVM's acquire and release; the system call instruction as inline assembly, so that no
pointer to a C function is baked into the machine code and Numba can keep that on disk.
Leaves out: which calls to make (ring.py), and systems other than Linux on x86-64 and AArch64.

Addresses are plain integers; nothing here checks them. Under ``NUMBA_DISABLE_JIT=1`` every
intrinsic is its Python twin. As with simd.py, Numba's on-disk cache follows the kernel's own file:
after an edit here delete kernels/__pycache__.
"""

from __future__ import annotations

import ctypes
import functools
import platform
import sys
from collections.abc import Callable

from llvmlite import binding, ir
from numba import types

from kernels.simd import _with_twin

_I32, _I64 = ir.IntType(32), ir.IntType(64)

# Instruction and registers of a system call: number, six arguments, result.
_CALLS = {
    "x86_64": (
        "syscall",
        "={rax},{rax},{rdi},{rsi},{rdx},{r10},{r8},{r9},~{rcx},~{r11},~{memory}",
    ),
    "aarch64": ("svc #0", "={x0},{x8},{x0},{x1},{x2},{x3},{x4},{x5},~{memory}"),
}

# Inline assembly needs LLVM's assembler, or LLVM ends the process.
binding.initialize_native_asmparser()


def refused() -> str:
    """Return why `system_call` cannot be had on this machine, or "" if it can."""
    if sys.platform != "linux":
        return f"system calls by number are Linux's, this is {sys.platform}"
    if platform.machine() not in _CALLS:
        return f"no system call instruction is known for {platform.machine()}"
    return ""


def _pointer(builder: ir.IRBuilder, address: ir.Value, pointee: ir.Type) -> ir.Value:
    return builder.inttoptr(address, pointee.as_pointer())


def _load_int32_twin(address: int) -> int:
    return ctypes.c_int32.from_address(int(address)).value


@_with_twin(_load_int32_twin)
def load_int32(typing_context, address):
    """Return the signed 32-bit number at an address that is a multiple of 4."""

    def generate(context, builder, signature, arguments):
        return builder.load(_pointer(builder, arguments[0], _I32), align=4)

    return types.int32(types.intp), generate


def _load_int64_twin(address: int) -> int:
    return ctypes.c_int64.from_address(int(address)).value


@_with_twin(_load_int64_twin)
def load_int64(typing_context, address):
    """Return the signed 64-bit number at an address that is a multiple of 8."""

    def generate(context, builder, signature, arguments):
        return builder.load(_pointer(builder, arguments[0], _I64), align=8)

    return types.int64(types.intp), generate


def _store_int64_twin(address: int, value: int) -> None:
    ctypes.c_int64.from_address(int(address)).value = int(value)


@_with_twin(_store_int64_twin)
def store_int64(typing_context, address, value):
    """Write a 64-bit number to an address that is a multiple of 8."""

    def generate(context, builder, signature, arguments):
        to, number = arguments
        builder.store(number, _pointer(builder, to, _I64), align=8)
        return context.get_dummy_value()

    return types.void(types.intp, types.int64), generate


def _load_acquire_twin(address: int) -> int:
    return ctypes.c_uint32.from_address(int(address)).value


@_with_twin(_load_acquire_twin)
def load_acquire(typing_context, address):
    """Return the unsigned 32-bit number at an address; no later access is made before this one."""

    def generate(context, builder, signature, arguments):
        return builder.load_atomic(_pointer(builder, arguments[0], _I32), "acquire", 4)

    return types.uint32(types.intp), generate


def _store_release_twin(address: int, value: int) -> None:
    ctypes.c_uint32.from_address(int(address)).value = int(value)


@_with_twin(_store_release_twin)
def store_release(typing_context, address, value):
    """Write an unsigned 32-bit number to an address; all earlier accesses are made before it."""

    def generate(context, builder, signature, arguments):
        to, number = arguments
        builder.store_atomic(number, _pointer(builder, to, _I32), "release", 4)
        return context.get_dummy_value()

    return types.void(types.intp, types.uint32), generate


@functools.cache
def _libc_syscall() -> Callable[..., int]:
    function = ctypes.CDLL(None, use_errno=True).syscall
    function.restype = ctypes.c_long
    function.argtypes = [ctypes.c_long] * 7
    return function


def system_call_twin(number: int, *arguments: int) -> int:
    """Make a system call from Python; what `system_call` is when nothing is compiled."""
    result = _libc_syscall()(number, *map(int, arguments))
    return -ctypes.get_errno() if result == -1 else result


def system_call_assembly(machine: str) -> ir.InlineAsm:
    """Return the instruction that calls the kernel on a machine, e.g. ``"aarch64"``."""
    instruction, registers = _CALLS[machine]
    kind = ir.FunctionType(_I64, [_I64] * 7)
    return ir.InlineAsm(kind, instruction, registers, side_effect=True)


@_with_twin(system_call_twin)
def system_call(typing_context, number, a, b, c, d, e, f):
    """Call the kernel and return its answer: a result, or an error number below zero.

    Blocks for as long as the call does; the caller must have released the GIL.
    """

    def generate(context, builder, signature, arguments):
        machine = builder.module.triple.split("-")[0]
        return builder.call(system_call_assembly(machine), arguments)

    return types.int64(*[types.int64] * 7), generate
