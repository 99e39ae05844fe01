"""Vectors of eight: each operation against NumPy's, compiled and interpreted."""

import numpy as np
import pytest
from numba import njit

from kernels import vectors as v


@njit
def arithmetic(a, b, out):
    x, y, place = v.load(a.ctypes.data), v.load(b.ctypes.data), out.ctypes.data
    v.store(place, x + y)
    v.store(place + 32, x - y)
    v.store(place + 64, x * y)
    v.store(place + 96, x / y)
    v.store(place + 128, v.fused(x, y, x))
    v.store(place + 160, v.larger(x, y))
    v.store(place + 192, v.magnitude(x))
    v.store(place + 224, v.zero_below(x, y, np.float32(0.25)))


@njit
def reductions(a, out):
    place = a.ctypes.data
    x, y = v.load(place), v.load(place + 32)
    out[0], out[1] = v.sum_of(x), v.largest_of(x)
    z = v.zeros()
    sums = v.sums_of(x, y, x + y, z, v.splat(np.float32(2)), v.load_splat(place + 4), x, y)
    v.store(out.ctypes.data + 32, sums)
    v.store(out.ctypes.data + 64, v.keep_first(x, 3, np.float32(-1)))


@njit
def whole_numbers(a, small, out):
    rounded = v.nearest(v.load(a.ctypes.data))
    v.store(out.ctypes.data, v.to_float(rounded))
    v.store(out.ctypes.data + 32, v.power_of_two(rounded))
    v.store_int8s(small.ctypes.data, rounded)
    v.store_float(out.ctypes.data + 64, v.load_float(a.ctypes.data + 4))


@njit
def narrow(source, out):
    place = source.ctypes.data
    v.store(out.ctypes.data, v.load_halves(place))
    v.store(out.ctypes.data + 32, v.load_half_splat(place + 2))
    v.store(out.ctypes.data + 64, v.load_int8s(place))
    v.store(out.ctypes.data + 96, v.load_first_uint8s(place))
    v.store(out.ctypes.data + 128, v.load_second_uint8s(place))
    v.store(out.ctypes.data + 160, v.load_first_int8s(place))
    v.store(out.ctypes.data + 192, v.load_second_int8s(place))


def floats(n, seed=0):
    return np.random.default_rng(seed).standard_normal(n, dtype=np.float32)


def test_arithmetic_is_numpys():
    a, b, out = floats(8), floats(8, 1), np.zeros((8, 8), np.float32)
    arithmetic(a, b, out)
    np.testing.assert_array_equal(out[:4], [a + b, a - b, a * b, a / b])
    np.testing.assert_allclose(out[4], a.astype(np.float64) * b + a, rtol=1e-7)
    expected = [np.maximum(a, b), abs(a), np.where(b >= 0.25, a, 0)]
    np.testing.assert_array_equal(out[5:], expected)


def test_sums_have_one_order():
    # In float32 the order shows: 2**24 swallows a one that comes alone.
    a = np.zeros(16, np.float32)
    a[[0, 1, 4, 5]] = 2**24, 1, -(2**24), 1
    a[8:] = floats(8)
    out = np.zeros(24, np.float32)
    reductions(a, out)
    assert (out[0], out[1]) == (2, 2**24)  # lane 0 + lane 4 first
    x, y = a[:8], a[8:]
    four = (y[:4] + y[4:])[:2] + (y[:4] + y[4:])[2:]
    np.testing.assert_array_equal(out[[8, 9, 11, 12, 13, 14]], [2, four.sum(), 0, 16, 8, 2])
    np.testing.assert_array_equal(out[16:], [x[0], x[1], x[2], -1, -1, -1, -1, -1])


def test_rounding_takes_ties_to_even():
    a = np.array([0.5, 1.5, -0.5, -2.5, 100.4, -100.6, 126, -126], np.float32)
    small, out = np.zeros(8, np.int8), np.zeros(24, np.float32)
    whole_numbers(a, small, out)
    expected = np.rint(a)
    np.testing.assert_array_equal(out[:8], expected)
    np.testing.assert_array_equal(out[8:16], 2.0**expected)
    np.testing.assert_array_equal(small, expected)
    assert out[16] == 1.5


@pytest.mark.parametrize("seed", range(3))
def test_narrow_values_are_widened_exactly(seed):
    halves = floats(8, seed).astype(np.float16)
    halves[:3] = np.float16(6e-8), np.float16(-65504), np.float16(np.inf)
    out = np.zeros((7, 8), np.float32)
    raw = halves.view(np.uint8)
    narrow(raw, out)
    np.testing.assert_array_equal(out[0], halves.astype(np.float32))
    np.testing.assert_array_equal(out[1], np.full(8, halves[1], np.float32))
    np.testing.assert_array_equal(out[2], raw[:8].view(np.int8))
    np.testing.assert_array_equal(out[3:5], [raw[::2], raw[1::2]])
    np.testing.assert_array_equal(out[5:], [raw[::2].view(np.int8), raw[1::2].view(np.int8)])


@njit
def nibbles(source, out, halves):
    place = source.ctypes.data
    v.store(out.ctypes.data, v.load_low_nibbles(place))
    v.store(out.ctypes.data + 32, v.load_high_nibbles(place))
    v.store(out.ctypes.data + 64, v.butterfly(v.load_low_nibbles(place)))
    v.store_halves(halves.ctypes.data, v.load_low_nibbles(place) / v.splat(np.float32(3)))


@pytest.mark.parametrize("seed", [0, 1])
def test_nibbles_butterflies_and_halves(seed):
    source = np.random.default_rng(seed).integers(0, 256, 8).astype(np.uint8)
    out, halves = np.zeros((3, 8), np.float32), np.zeros(8, np.uint16)
    nibbles(source, out, halves)
    low = (source & 15).astype(np.float32)
    np.testing.assert_array_equal(out[0], low)
    np.testing.assert_array_equal(out[1], source >> 4)
    signs = [[(-1) ** (i & j).bit_count() for j in range(8)] for i in range(8)]
    np.testing.assert_array_equal(out[2], np.array(signs) @ low)
    np.testing.assert_array_equal(halves.view(np.float16), (low / np.float32(3)).astype(np.float16))
