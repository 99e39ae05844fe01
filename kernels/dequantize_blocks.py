"""Restore float32 from blocks of 32 codes with a scale: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0.

Follows: ggml-common.h's blocks (read 2026-11), bit for bit what its conversion computes. A block
begins with float16 scale ``d`` (and minimum ``m`` in the _1 types); the four low bits of value i
stand in nibble i of the first or second half, the fifth bits in one word.
Leaves out: blocks of 256 (dequantize_k.py).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numba import njit

from kernels.block_format import BlockFormat, half, single
from kernels.half import half_to_float
from kernels.weight_codes import (
    NO_OFFSET,
    STEP_BYTES,
    write_bytes,
    write_codes,
    write_codes_of_word,
)

Q4_0 = BlockFormat("Q4_0", 32, 18)
Q4_1 = BlockFormat("Q4_1", 32, 20)
Q5_0 = BlockFormat("Q5_0", 32, 22)
Q5_1 = BlockFormat("Q5_1", 32, 24)
Q8_0 = BlockFormat("Q8_0", 32, 34)

_WRITTEN_BYTES = 2 * STEP_BYTES  # one block's 32 float32


@njit(cache=True, nogil=True)
def half_at(packed, at):
    """Return the float16 at a byte offset as float32."""
    return half_to_float(np.uint16(packed[at]) | np.uint16(packed[at + 1]) << np.uint16(8))


@njit(cache=True, nogil=True)
def _word_at(packed, at):
    low = np.uint32(packed[at]) | np.uint32(packed[at + 1]) << np.uint32(8)
    high = np.uint32(packed[at + 2]) | np.uint32(packed[at + 3]) << np.uint32(8)
    return low | high << np.uint32(16)


@njit(cache=True, nogil=True)
def q4_0(packed, values):
    """Restore blocks of 4-bit codes counted from -8, scaled."""
    to = values.ctypes.data
    for at in range(0, packed.size, 18):
        source, scale = packed.ctypes.data + at + 2, half_at(packed, at)
        write_codes(to, source, 0, source, 0, 0, 8, scale, NO_OFFSET)
        write_codes(to + STEP_BYTES, source, 4, source, 0, 0, 8, scale, NO_OFFSET)
        to += _WRITTEN_BYTES


@njit(cache=True, nogil=True)
def q4_1(packed, values):
    """Restore blocks of 4-bit codes, scaled, plus their minimum."""
    to = values.ctypes.data
    for at in range(0, packed.size, 20):
        source = packed.ctypes.data + at + 4
        scale, offset = half_at(packed, at), half_at(packed, at + 2)
        write_codes(to, source, 0, source, 0, 0, 0, scale, offset)
        write_codes(to + STEP_BYTES, source, 4, source, 0, 0, 0, scale, offset)
        to += _WRITTEN_BYTES


@njit(cache=True, nogil=True)
def q5_0(packed, values):
    """Restore blocks of 5-bit codes counted from -16, scaled."""
    to = values.ctypes.data
    for at in range(0, packed.size, 22):
        source, scale = packed.ctypes.data + at + 6, half_at(packed, at)
        word = _word_at(packed, at + 2)
        write_codes_of_word(to, source, 0, word, 16, scale, NO_OFFSET)
        word >>= np.uint32(16)
        write_codes_of_word(to + STEP_BYTES, source, 4, word, 16, scale, NO_OFFSET)
        to += _WRITTEN_BYTES


@njit(cache=True, nogil=True)
def q5_1(packed, values):
    """Restore blocks of 5-bit codes, scaled, plus their minimum."""
    to = values.ctypes.data
    for at in range(0, packed.size, 24):
        source, word = packed.ctypes.data + at + 8, _word_at(packed, at + 4)
        scale, offset = half_at(packed, at), half_at(packed, at + 2)
        write_codes_of_word(to, source, 0, word, 0, scale, offset)
        word >>= np.uint32(16)
        write_codes_of_word(to + STEP_BYTES, source, 4, word, 0, scale, offset)
        to += _WRITTEN_BYTES


@njit(cache=True, nogil=True)
def q8_0(packed, values):
    """Restore blocks of signed bytes, scaled."""
    to = values.ctypes.data
    for at in range(0, packed.size, 34):
        source, scale = packed.ctypes.data + at + 2, half_at(packed, at)
        write_bytes(to, source, scale)
        write_bytes(to + STEP_BYTES, source + 16, scale)
        to += _WRITTEN_BYTES


def _codes(nibbles: bytes, word: int = 0) -> Iterator[int]:
    """Yield 32 codes: nibbles, low ones first, and a fifth bit from the word."""
    for place in range(32):
        byte = nibbles[place % 16]
        yield (byte >> 4 if place >= 16 else byte & 15) | (word >> place & 1) << 4


def _q4_0_block(raw: bytes) -> list[float]:
    return [single(half(raw, 0) * (code - 8)) for code in _codes(raw[2:])]


def _q4_1_block(raw: bytes) -> list[float]:
    return [single(single(half(raw, 0) * code) + half(raw, 2)) for code in _codes(raw[4:])]


def _q5_0_block(raw: bytes) -> list[float]:
    word = int.from_bytes(raw[2:6], "little")
    return [single(half(raw, 0) * (code - 16)) for code in _codes(raw[6:], word)]


def _q5_1_block(raw: bytes) -> list[float]:
    codes = _codes(raw[8:], int.from_bytes(raw[4:8], "little"))
    return [single(single(half(raw, 0) * code) + half(raw, 2)) for code in codes]


def _q8_0_block(raw: bytes) -> list[float]:
    return [single(half(raw, 0) * (byte - 256 if byte > 127 else byte)) for byte in raw[2:]]


dequantize_q4_0 = Q4_0.register(q4_0, _q4_0_block)
dequantize_q4_1 = Q4_1.register(q4_1, _q4_1_block)
dequantize_q5_0 = Q5_0.register(q5_0, _q5_0_block)
dequantize_q5_1 = Q5_1.register(q5_1, _q5_1_block)
dequantize_q8_0 = Q8_0.register(q8_0, _q8_0_block)
