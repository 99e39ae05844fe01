"""Blocks of 32: one of each type worked out by hand."""

import struct

import numpy as np

from kernels.dequantize_blocks import (
    dequantize_q4_0,
    dequantize_q4_1,
    dequantize_q5_0,
    dequantize_q5_1,
    dequantize_q8_0,
)

# Value i has the code i % 16 in the first half and 15 - i % 16 in the second.
NIBBLES = bytes(i | (15 - i) << 4 for i in range(16))
CODES = [*range(16), *reversed(range(16))]
# Fifth bits of the first and of the last value.
WORD = struct.pack("<I", 0x80000001)
FIVES = [16, *range(1, 16), *reversed(range(1, 16)), 16]


def halves(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}e", *values)


def restored(dequantize, raw: bytes) -> list[float]:
    # Two blocks: the second must begin where the first ends.
    values = np.zeros(64, np.float32)
    dequantize(np.frombuffer(bytes(len(raw)) + raw, np.uint8), values)
    assert not values[:32].any()
    return values[32:].tolist()


def test_q4_0_counts_from_minus_eight():
    assert restored(dequantize_q4_0, halves(0.5) + NIBBLES) == [0.5 * (c - 8) for c in CODES]


def test_q4_1_adds_its_minimum():
    assert restored(dequantize_q4_1, halves(2, -3) + NIBBLES) == [2 * c - 3 for c in CODES]


def test_q5_0_counts_from_minus_sixteen():
    raw = halves(0.25) + WORD + NIBBLES
    assert restored(dequantize_q5_0, raw) == [0.25 * (c - 16) for c in FIVES]


def test_q5_1_adds_its_minimum():
    raw = halves(0.25, 7) + WORD + NIBBLES
    assert restored(dequantize_q5_1, raw) == [0.25 * c + 7 for c in FIVES]


def test_q8_0_is_signed():
    codes = [*range(-128, -112), *range(112, 128)]
    raw = halves(-2) + struct.pack("32b", *codes)
    assert restored(dequantize_q8_0, raw) == [-2 * c for c in codes]
