"""Blocks of 256: scales and upper bits packed here by the layout's description, then restored."""

import struct

import numpy as np

from kernels.dequantize_k import dequantize_q4_k, dequantize_q5_k, dequantize_q6_k

SCALES = [1, 17, 34, 63, 2, 20, 40, 62]
MINIMA = [0, 63, 5, 33, 16, 48, 3, 60]


def packed_scales() -> bytes:
    """Pack eight 6-bit scales and minima: the first four hold the last four's upper bits."""
    raw = bytearray(12)
    for i in range(4):
        raw[i] = SCALES[i] | SCALES[i + 4] >> 4 << 6
        raw[i + 4] = MINIMA[i] | MINIMA[i + 4] >> 4 << 6
        raw[i + 8] = SCALES[i + 4] & 15 | (MINIMA[i + 4] & 15) << 4
    return bytes(raw)


def nibbles(codes: np.ndarray) -> bytes:
    """Pack 256 codes of 4 bits: groups of 32 in pairs, the even group in the low nibbles."""
    pairs = codes.reshape(4, 2, 32)
    return (pairs[:, 0] | pairs[:, 1] << 4).astype(np.uint8).tobytes()


def restored(dequantize, raw: bytes) -> np.ndarray:
    values = np.zeros(512, np.float32)
    dequantize(np.frombuffer(bytes(len(raw)) + raw, np.uint8), values)
    assert not values[:256].any()
    return values[256:]


def expected(codes: np.ndarray, d: float, dmin: float) -> np.ndarray:
    groups = codes.reshape(8, 32).astype(np.float32)
    scales, minima = (np.array(each, np.float32)[:, None] for each in (SCALES, MINIMA))
    return (d * scales * groups - dmin * minima).ravel()


def test_q4_k_scales_each_group_of_32():
    codes = np.random.default_rng(0).integers(0, 16, 256)
    raw = struct.pack("<2e", 0.5, 0.25) + packed_scales() + nibbles(codes)
    np.testing.assert_array_equal(restored(dequantize_q4_k, raw), expected(codes, 0.5, 0.25))


def test_q5_k_takes_a_fifth_bit_from_each_groups_plane():
    codes = np.random.default_rng(1).integers(0, 32, 256)
    planes = (codes.reshape(8, 32) >> 4) << np.arange(8)[:, None]
    fifths = planes.sum(axis=0).astype(np.uint8).tobytes()
    raw = struct.pack("<2e", 0.5, 0.25) + packed_scales() + fifths + nibbles(codes & 15)
    np.testing.assert_array_equal(restored(dequantize_q5_k, raw), expected(codes, 0.5, 0.25))


def test_q6_k_counts_from_minus_32_in_groups_of_16():
    codes = np.random.default_rng(2).integers(0, 64, 256)
    scales = np.array([-128, 127, 0, 1, -1, *range(11)], np.int8)
    low, high = bytearray(128), bytearray(64)
    for part in range(2):
        for column in range(32):
            a, b, c, d = (int(codes[128 * part + 32 * q + column]) for q in range(4))
            low[64 * part + column] = a & 15 | (c & 15) << 4
            low[64 * part + 32 + column] = b & 15 | (d & 15) << 4
            high[32 * part + column] = a >> 4 | b >> 4 << 2 | c >> 4 << 4 | d >> 4 << 6
    raw = bytes(low) + bytes(high) + scales.tobytes() + struct.pack("<e", 0.125)
    factors = np.repeat(0.125 * scales.astype(np.float32), 16)
    np.testing.assert_array_equal(restored(dequantize_q6_k, raw), factors * (codes - 32))
