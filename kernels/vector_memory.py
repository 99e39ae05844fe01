"""Move eight float32 between memory and the vectors of kernels, narrow numbers widened on the way.

Follows: LLVM's loads and stores of vectors, any alignment.
Leaves out: arithmetic (vectors.py).

Addresses are plain integers; nothing here checks them. As with simd.py, after an edit here delete
kernels/__pycache__.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from kernels.half import (
    _extend,
    _float_to_half_twin,
    _half_to_float_twin,
    _truncate,
    has_instruction,
)
from kernels.simd import _pointer, _store_nontemporal, _with_twin
from kernels.vectors import _F32, _FLOATS, _I16, _I32, _INTS, LANES, Float8, Int8, _load, _splat

_I8 = ir.IntType(8)


def _memory(address: int, dtype: type[np.generic]) -> np.ndarray:
    """Return eight values at an address, as the twins read and write them."""
    n_bytes = LANES * np.dtype(dtype).itemsize
    return np.frombuffer((ctypes.c_uint8 * n_bytes).from_address(int(address)), dtype)


@_with_twin(lambda address: _memory(address, np.float32).copy())
def load(typing_context, address):
    """Return the eight float32 at an address, any alignment."""

    def generate(context, builder, signature, arguments):
        return _load(builder, arguments[0], _FLOATS)

    return Float8(types.intp), generate


def _store_twin(address: int, values: np.ndarray) -> None:
    _memory(address, np.float32)[:] = values


@_with_twin(_store_twin)
def store(typing_context, address, values):
    """Write eight float32 to an address, any alignment."""

    def generate(context, builder, signature, arguments):
        builder.store(arguments[1], _pointer(builder, arguments[0], _FLOATS), align=1)
        return context.get_dummy_value()

    return types.void(types.intp, Float8), generate


def _load_halves_twin(address: int) -> np.ndarray:
    return _memory(address, np.float16).astype(np.float32)


@_with_twin(_load_halves_twin)
def load_halves(typing_context, address):
    """Return the eight float16 at an address as float32; exact."""

    def generate(context, builder, signature, arguments):
        bits = _load(builder, arguments[0], ir.VectorType(_I16, LANES))
        return _widened_halves(context, builder, bits)

    return Float8(types.intp), generate


def _widened_halves(context: Any, builder: ir.IRBuilder, bits: ir.Value) -> ir.Value:
    """Return the bits of eight float16 as eight float32."""
    if has_instruction():
        return _extend(builder, bits)
    one = types.float32(types.uint16)
    values = ir.Constant(_FLOATS, ir.Undefined)
    for lane in (ir.Constant(_I32, number) for number in range(LANES)):
        bit = [builder.extract_element(bits, lane)]
        value = context.compile_internal(builder, _half_to_float_twin, one, bit)
        values = builder.insert_element(values, value, lane)
    return values


def _half_splat_twin(address: int) -> np.ndarray:
    bits = ctypes.c_uint16.from_address(int(address)).value
    return np.full(LANES, np.uint16(bits).view(np.float16), np.float32)


@_with_twin(_half_splat_twin)
def load_half_splat(typing_context, address):
    """Return the one float16 at an address as float32 in all eight lanes."""

    def generate(context, builder, signature, arguments):
        bits = _load(builder, arguments[0], _I16)
        if has_instruction():
            return _splat(builder, _extend(builder, bits), LANES)
        one = types.float32(types.uint16)
        value = context.compile_internal(builder, _half_to_float_twin, one, [bits])
        return _splat(builder, value, LANES)

    return Float8(types.intp), generate


@_with_twin(lambda address: _memory(address, np.int8).astype(np.float32))
def load_int8s(typing_context, address):
    """Return the eight int8 at an address as float32."""

    def generate(context, builder, signature, arguments):
        small = _load(builder, arguments[0], ir.VectorType(_I8, LANES))
        return builder.sitofp(builder.sext(small, _INTS), _FLOATS)

    return Float8(types.intp), generate


def _byte_pairs(first: bool, signed: bool) -> tuple[Any, Callable[..., ir.Value]]:
    """Return the code that takes one byte of each of eight pairs as float32."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        pairs = _load(builder, arguments[0], ir.VectorType(_I16, LANES))
        wide = builder.zext(pairs, _INTS)
        up, down = (ir.Constant(_INTS, [bits] * LANES) for bits in (24 if first else 16, 24))
        shift = builder.ashr if signed else builder.lshr
        return builder.sitofp(shift(builder.shl(wide, up), down), _FLOATS)

    return Float8(types.intp), generate


def _byte_pairs_twin(place: int, dtype: type[np.generic]) -> Callable[[int], np.ndarray]:
    return lambda address: _memory(address, np.uint16).view(dtype)[place::2].astype(np.float32)


@_with_twin(_byte_pairs_twin(0, np.uint8))
def load_first_uint8s(typing_context, address):
    """Return the first uint8 of each of the eight pairs at an address as float32."""
    return _byte_pairs(first=True, signed=False)


@_with_twin(_byte_pairs_twin(1, np.uint8))
def load_second_uint8s(typing_context, address):
    """Return the second uint8 of each of the eight pairs at an address as float32."""
    return _byte_pairs(first=False, signed=False)


@_with_twin(_byte_pairs_twin(0, np.int8))
def load_first_int8s(typing_context, address):
    """Return the first int8 of each of the eight pairs at an address as float32."""
    return _byte_pairs(first=True, signed=True)


@_with_twin(_byte_pairs_twin(1, np.int8))
def load_second_int8s(typing_context, address):
    """Return the second int8 of each of the eight pairs at an address as float32."""
    return _byte_pairs(first=False, signed=True)


def _store_halves_twin(address: int, values: np.ndarray) -> None:
    _memory(address, np.uint16)[:] = [int(_float_to_half_twin(value)) for value in values]


@_with_twin(_store_halves_twin)
def store_halves(typing_context, address, values):
    """Write eight float32 to an address as float16, to the nearest."""

    def generate(context, builder, signature, arguments):
        bits = _as_halves(context, builder, arguments[1])
        builder.store(bits, _pointer(builder, arguments[0], bits.type), align=1)
        return context.get_dummy_value()

    return types.void(types.intp, Float8), generate


def _as_halves(context: Any, builder: ir.IRBuilder, values: ir.Value) -> ir.Value:
    """Return eight float32 as the bits of eight float16."""
    if has_instruction():
        return _truncate(builder, values)
    one = types.uint16(types.float32)
    bits = ir.Constant(ir.VectorType(_I16, LANES), ir.Undefined)
    for lane in (ir.Constant(_I32, number) for number in range(LANES)):
        value = [builder.extract_element(values, lane)]
        half = context.compile_internal(builder, _float_to_half_twin, one, value)
        bits = builder.insert_element(bits, half, lane)
    return bits


def _rounded_twin(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(np.float16).astype(np.float32)


@_with_twin(_rounded_twin)
def rounded_to_half(typing_context, values):
    """Return eight float32, each rounded to the nearest that float16 has."""

    def generate(context, builder, signature, arguments):
        return _widened_halves(context, builder, _as_halves(context, builder, arguments[0]))

    return Float8(Float8), generate


def _halves_line_twin(address: int, *vectors: np.ndarray) -> None:
    for number, values in enumerate(vectors):
        _store_halves_twin(address + 2 * LANES * number, values)


@_with_twin(_halves_line_twin)
def store_halves_nontemporal(typing_context, address, a, b, c, d):
    """Write four vectors as 32 float16 past the cache; the address must be a multiple of 64.

    As with `simd.copy_line_nontemporal`, end every run of them with `simd.store_fence`.
    """

    def generate(context, builder, signature, arguments):
        address, *vectors = arguments
        parts = [_as_halves(context, builder, values) for values in vectors]
        while len(parts) > 1:
            lanes = ir.VectorType(_I32, 2 * parts[0].type.count)
            order = ir.Constant(lanes, list(range(lanes.count)))
            pairs = zip(parts[::2], parts[1::2], strict=True)
            parts = [builder.shuffle_vector(one, other, order) for one, other in pairs]
        _store_nontemporal(builder, parts[0], address)
        return context.get_dummy_value()

    return types.void(types.intp, *[Float8] * 4), generate


def _nibbles(upper: bool) -> tuple[Any, Callable[..., ir.Value]]:
    """Return the code that takes half of each of eight bytes as float32."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        small = _load(builder, arguments[0], ir.VectorType(_I8, LANES))
        wide = builder.zext(small, _INTS)
        number = ir.Constant(_INTS, [4 if upper else 15] * LANES)
        half = builder.lshr(wide, number) if upper else builder.and_(wide, number)
        return builder.sitofp(half, _FLOATS)

    return Float8(types.intp), generate


@_with_twin(lambda address: (_memory(address, np.uint8) & 15).astype(np.float32))
def load_low_nibbles(typing_context, address):
    """Return the lower four bits of each of the eight bytes at an address as float32."""
    return _nibbles(upper=False)


@_with_twin(lambda address: (_memory(address, np.uint8) >> 4).astype(np.float32))
def load_high_nibbles(typing_context, address):
    """Return the upper four bits of each of the eight bytes at an address as float32."""
    return _nibbles(upper=True)


def _store_int8s_twin(address: int, values: np.ndarray) -> None:
    _memory(address, np.int8)[:] = values.astype(np.int8)


@_with_twin(_store_int8s_twin)
def store_int8s(typing_context, address, values):
    """Write eight int32 from -128 to 127 as int8 to an address."""

    def generate(context, builder, signature, arguments):
        kind = ir.VectorType(_I8, LANES)
        small = builder.trunc(arguments[1], kind)
        builder.store(small, _pointer(builder, arguments[0], kind), align=1)
        return context.get_dummy_value()

    return types.void(types.intp, Int8), generate


@_with_twin(lambda address: np.full(LANES, _memory(address, np.uint8)[:4].view(np.float32)[0]))
def load_splat(typing_context, address):
    """Return the one float32 at an address in all eight lanes."""

    def generate(context, builder, signature, arguments):
        return _splat(builder, _load(builder, arguments[0], _F32), LANES)

    return Float8(types.intp), generate


def _store_float_twin(address: int, value: float) -> None:
    ctypes.c_float.from_address(int(address)).value = value


@_with_twin(_store_float_twin)
def store_float(typing_context, address, value):
    """Write one float32 to an address."""

    def generate(context, builder, signature, arguments):
        to, number = arguments
        builder.store(number, _pointer(builder, to, _F32), align=1)
        return context.get_dummy_value()

    return types.void(types.intp, types.float32), generate


@_with_twin(lambda address: np.float32(ctypes.c_float.from_address(int(address)).value))
def load_float(typing_context, address):
    """Return the one float32 at an address."""

    def generate(context, builder, signature, arguments):
        return _load(builder, arguments[0], _F32)

    return types.float32(types.intp), generate
