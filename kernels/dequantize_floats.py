"""Restore float32 from weights that are kept as float32, float16 or bfloat16.

Follows: IEEE 754; bfloat16 is the upper half of a float32.
Leaves out: codes with scales (dequantize_blocks.py, dequantize_k.py).
"""

from __future__ import annotations

import struct

import numpy as np
from numba import njit

from kernels import copy
from kernels.block_format import BlockFormat
from kernels.half import half_to_float

F32 = BlockFormat("F32", 1, 4)
F16 = BlockFormat("F16", 1, 2)
BF16 = BlockFormat("BF16", 1, 2)


@njit(cache=True, nogil=True)
def f32(packed, values):
    """Copy the bytes."""
    copy.vector(values.view(np.uint8), packed)


@njit(cache=True, nogil=True)
def f16(packed, values):
    """Widen float16; LLVM vectorises it."""
    halves = packed.view(np.uint16)
    for index in range(values.size):
        values[index] = half_to_float(halves[index])


@njit(cache=True, nogil=True)
def bf16(packed, values):
    """Put the bits above sixteen zeros; LLVM vectorises it."""
    halves, words = packed.view(np.uint16), values.view(np.uint32)
    for index in range(values.size):
        words[index] = np.uint32(halves[index]) << np.uint32(16)


def _f32_block(raw: bytes) -> tuple[float, ...]:
    return struct.unpack("<f", raw)


def _f16_block(raw: bytes) -> tuple[float, ...]:
    return struct.unpack("<e", raw)


def _bf16_block(raw: bytes) -> tuple[float, ...]:
    return struct.unpack("<f", bytes(2) + raw)


dequantize_f32 = F32.register(f32, _f32_block)
dequantize_f16 = F16.register(f16, _f16_block)
dequantize_bf16 = BF16.register(bf16, _bf16_block)
