"""Turn 16 packed integer codes into 16 scaled float32, in vector registers.

Follows: ggml's block layouts (ggml-common.h, read 2026-11): codes of 4 bits in nibbles, their fifth
and sixth bits elsewhere in the block; bit for bit what its conversion to float32 computes.
Leaves out: whole blocks (dequantize_blocks.py, dequantize_k.py) and float16 (half.py).

Addresses are plain integers; nothing here checks them. Plain Numba loops over the nibbles reach
1.0 GB/s of packed Q4_1 on Zen 3, in the cache too; these intrinsics 3.8 in the cache and 2.6
beyond it. After an edit here delete kernels/__pycache__: Numba's cache does not follow this file.
"""

from __future__ import annotations

import ctypes

import numpy as np
from llvmlite import ir
from numba import types

from kernels.simd import _pointer, _with_twin

N_CODES = 16
STEP_BYTES = 4 * N_CODES  # of float32 that one call writes

# Added where a type has no offset: a sum with minus zero is its other term, zeros included.
NO_OFFSET = np.float32(-0.0)

_I8, _I32, _FLOAT = ir.IntType(8), ir.IntType(32), ir.FloatType()
_BYTES, _INTEGERS, _FLOATS = (ir.VectorType(kind, N_CODES) for kind in (_I8, _I32, _FLOAT))


def _constant(value: int) -> ir.Constant:
    return ir.Constant(_INTEGERS, [value] * N_CODES)


def _splat(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    """Return a vector whose every element is the value."""
    kind = ir.VectorType(value.type, N_CODES)
    nothing = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(nothing, value, ir.Constant(_I32, 0))
    return builder.shuffle_vector(first, nothing, _constant(0))


def _load_bytes(builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
    return builder.load(_pointer(builder, address, _BYTES), align=1)


def _nibbles(builder: ir.IRBuilder, address: ir.Value, shift: ir.Value) -> ir.Value:
    wide = builder.zext(_load_bytes(builder, address), _INTEGERS)
    return builder.and_(builder.lshr(wide, _splat(builder, shift)), _constant(15))


def _store_scaled(
    builder: ir.IRBuilder, address: ir.Value, codes: ir.Value, scale: ir.Value, offset: ir.Value
) -> None:
    """Write scale * codes + offset, each step rounded: a fused one would differ from ggml's."""
    scaled = builder.fmul(_splat(builder, scale), builder.sitofp(codes, _FLOATS))
    values = builder.fadd(scaled, _splat(builder, offset))
    builder.store(values, _pointer(builder, address, _FLOATS), align=1)


def _bytes_at(address: int) -> np.ndarray:
    held = (ctypes.c_uint8 * N_CODES).from_address(int(address))
    return np.frombuffer(held, np.uint8).astype(np.int32)


def _store_scaled_twin(address: int, codes: np.ndarray, scale: float, offset: float) -> None:
    values = np.frombuffer((ctypes.c_float * N_CODES).from_address(int(address)), np.float32)
    with np.errstate(all="ignore"):
        values[:] = np.float32(scale) * codes.astype(np.float32) + np.float32(offset)


def _write_codes_twin(
    destination: int,
    low: int,
    low_shift: int,
    high: int,
    high_shift: int,
    high_mask: int,
    bias: int,
    scale: float,
    offset: float,
) -> None:
    upper = (_bytes_at(high) >> int(high_shift)) & int(high_mask)
    codes = ((_bytes_at(low) >> int(low_shift)) & 15 | upper << 4) - int(bias)
    _store_scaled_twin(destination, codes, scale, offset)


@_with_twin(_write_codes_twin)
def write_codes(
    typing_context,
    destination,
    low,
    low_shift,
    high,
    high_shift,
    high_mask,
    bias,
    scale,
    offset,
):
    """Write 16 float32 of codes: four bits from each of 16 bytes, the upper ones from 16 others.

    code = (low >> low_shift & 15 | (high >> high_shift & high_mask) << 4) - bias; with a constant
    mask of 0 nothing is read at ``high``. One machine step, hence one call of nine numbers.
    """
    integer, address, real = types.int32, types.intp, types.float32
    signature = types.void(
        *(address, address, integer, address, integer, integer, integer, real, real)
    )

    def generate(context, builder, signature, arguments):
        to, low, low_shift, high, high_shift, high_mask, bias, scale, offset = arguments
        upper = builder.zext(_load_bytes(builder, high), _INTEGERS)
        upper = builder.lshr(upper, _splat(builder, high_shift))
        upper = builder.and_(upper, _splat(builder, high_mask))
        codes = builder.or_(_nibbles(builder, low, low_shift), builder.shl(upper, _constant(4)))
        codes = builder.sub(codes, _splat(builder, bias))
        _store_scaled(builder, to, codes, scale, offset)
        return context.get_dummy_value()

    return signature, generate


def _write_codes_of_word_twin(
    destination: int, low: int, low_shift: int, word: int, bias: int, scale: float, offset: float
) -> None:
    upper = (int(word) >> np.arange(N_CODES)) & 1
    codes = ((_bytes_at(low) >> int(low_shift)) & 15 | upper << 4) - int(bias)
    _store_scaled_twin(destination, codes, scale, offset)


@_with_twin(_write_codes_of_word_twin)
def write_codes_of_word(typing_context, destination, low, low_shift, word, bias, scale, offset):
    """Write 16 float32 of codes whose fifth bits are the lowest 16 bits of a word, in order."""
    integer, address, real = types.int32, types.intp, types.float32
    signature = types.void(address, address, integer, integer, integer, real, real)

    def generate(context, builder, signature, arguments):
        to, low, low_shift, word, bias, scale, offset = arguments
        places = ir.Constant(_INTEGERS, list(range(N_CODES)))
        upper = builder.and_(builder.lshr(_splat(builder, word), places), _constant(1))
        codes = builder.or_(_nibbles(builder, low, low_shift), builder.shl(upper, _constant(4)))
        codes = builder.sub(codes, _splat(builder, bias))
        _store_scaled(builder, to, codes, scale, offset)
        return context.get_dummy_value()

    return signature, generate


def _write_bytes_twin(destination: int, source: int, scale: float) -> None:
    codes = _bytes_at(source).astype(np.uint8).view(np.int8)
    _store_scaled_twin(destination, codes, scale, NO_OFFSET)


@_with_twin(_write_bytes_twin)
def write_bytes(typing_context, destination, source, scale):
    """Write 16 float32 of signed codes of a byte each."""

    def generate(context, builder, signature, arguments):
        to, source, scale = arguments
        codes = builder.sext(_load_bytes(builder, source), _INTEGERS)
        scaled = builder.fmul(_splat(builder, scale), builder.sitofp(codes, _FLOATS))
        builder.store(scaled, _pointer(builder, to, _FLOATS), align=1)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.float32), generate
