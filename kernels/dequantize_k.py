"""Restore float32 from blocks of 256 codes with scales of their own: Q4_K, Q5_K, Q6_K.

Follows: ggml-common.h's super-blocks (read 2026-11), bit for bit what its conversion computes.
Leaves out: Q2_K, Q3_K and the IQ types.

Q4_K and Q5_K: eight groups of 32 values, each with a 6-bit scale and minimum, which float16 ``d``
and ``dmin`` multiply. Q6_K: sixteen groups of 16 values with an int8 scale, which ``d`` multiplies.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from kernels.block_format import BlockFormat, half, single
from kernels.dequantize_blocks import half_at
from kernels.weight_codes import NO_OFFSET, STEP_BYTES, write_codes

Q4_K = BlockFormat("Q4_K", 256, 144)
Q5_K = BlockFormat("Q5_K", 256, 176)
Q6_K = BlockFormat("Q6_K", 256, 210)

_GROUPS = 8
_Q6_GROUPS = 16


@njit(cache=True, nogil=True)
def scale_and_minimum(packed, at, group):
    """Return a group's 6-bit scale and minimum from the twelve bytes that hold all sixteen."""
    if group < 4:
        return packed[at + group] & 63, packed[at + group + 4] & 63
    low, both = packed[at + group - 4] >> 6, packed[at + group + 4]
    return both & 15 | low << 4, both >> 4 | packed[at + group] >> 6 << 4


@njit(cache=True, nogil=True)
def q4_k(packed, values):
    """Restore blocks of eight groups of 4-bit codes."""
    to = values.ctypes.data
    for at in range(0, packed.size, 144):
        d, dmin = half_at(packed, at), half_at(packed, at + 2)
        for group in range(_GROUPS):
            scale, minimum = scale_and_minimum(packed, at + 4, group)
            factor, offset = d * np.float32(scale), -(dmin * np.float32(minimum))
            source, shift = packed.ctypes.data + at + 16 + 32 * (group // 2), 4 * (group % 2)
            write_codes(to, source, shift, source, 0, 0, 0, factor, offset)
            to += STEP_BYTES
            write_codes(to, source + 16, shift, source, 0, 0, 0, factor, offset)
            to += STEP_BYTES


@njit(cache=True, nogil=True)
def q5_k(packed, values):
    """Restore blocks of eight groups of 5-bit codes."""
    to = values.ctypes.data
    for at in range(0, packed.size, 176):
        d, dmin = half_at(packed, at), half_at(packed, at + 2)
        fifths = packed.ctypes.data + at + 16
        for group in range(_GROUPS):
            scale, minimum = scale_and_minimum(packed, at + 4, group)
            factor, offset = d * np.float32(scale), -(dmin * np.float32(minimum))
            source, shift = fifths + 32 + 32 * (group // 2), 4 * (group % 2)
            write_codes(to, source, shift, fifths, group, 1, 0, factor, offset)
            to += STEP_BYTES
            write_codes(to, source + 16, shift, fifths + 16, group, 1, 0, factor, offset)
            to += STEP_BYTES


@njit(cache=True, nogil=True)
def q6_k(packed, values):
    """Restore blocks of sixteen groups of 6-bit codes counted from -32."""
    to = values.ctypes.data
    for at in range(0, packed.size, 210):
        d, start = half_at(packed, at + 208), packed.ctypes.data + at
        for group in range(_Q6_GROUPS):
            # A half holds 128 values: 64 bytes of nibbles, 32 bytes of upper bits, two a value.
            part, quarter, side = group // 8, group % 8 // 2, 16 * (group % 2)
            low = start + 64 * part + 32 * (quarter % 2) + side
            high = start + 128 + 32 * part + side
            factor = d * np.float32(np.int8(packed[at + 192 + group]))
            shift = 4 * (quarter // 2)
            write_codes(to, low, shift, high, 2 * quarter, 3, 32, factor, NO_OFFSET)
            to += STEP_BYTES


def _scales_and_minima(raw: bytes) -> list[tuple[int, int]]:
    """Return the eight pairs; the last four keep their two upper bits in the first eight bytes."""
    first = [(raw[i] & 63, raw[i + 4] & 63) for i in range(4)]
    last = [
        (raw[i + 8] & 15 | raw[i] >> 6 << 4, raw[i + 8] >> 4 | raw[i + 4] >> 6 << 4)
        for i in range(4)
    ]
    return first + last


def _affine(raw: bytes, group: int, codes: list[int]) -> list[float]:
    scale, minimum = _scales_and_minima(raw[4:16])[group]
    factor, offset = single(half(raw, 0) * scale), single(half(raw, 2) * minimum)
    return [single(single(factor * code) - offset) for code in codes]


def _nibbles(raw: bytes, group: int) -> list[int]:
    nibbles = raw[32 * (group // 2) : 32 * (group // 2) + 32]
    return [byte >> 4 if group % 2 else byte & 15 for byte in nibbles]


def _q4_k_block(raw: bytes) -> list[float]:
    groups = [_affine(raw, group, _nibbles(raw[16:], group)) for group in range(_GROUPS)]
    return [value for group in groups for value in group]


def _q5_k_block(raw: bytes) -> list[float]:
    values: list[float] = []
    for group in range(_GROUPS):
        fifths = [byte >> group & 1 for byte in raw[16:48]]
        nibbles = _nibbles(raw[48:], group)
        codes = [low | high << 4 for low, high in zip(nibbles, fifths, strict=True)]
        values += _affine(raw, group, codes)
    return values


def _q6_k_block(raw: bytes) -> list[float]:
    values: list[float] = []
    for place in range(256):
        part, quarter, column = place // 128, place % 128 // 32, place % 32
        low = raw[64 * part + 32 * (quarter % 2) + column] >> 4 * (quarter // 2) & 15
        high = raw[128 + 32 * part + column] >> 2 * quarter & 3
        scale = raw[192 + place // 16]
        factor = single(half(raw, 208) * (scale - 256 if scale > 127 else scale))
        values.append(single(factor * ((low | high << 4) - 32)))
    return values


dequantize_q4_k = Q4_K.register(q4_k, _q4_k_block)
dequantize_q5_k = Q5_K.register(q5_k, _q5_k_block)
dequantize_q6_k = Q6_K.register(q6_k, _q6_k_block)
