"""Vectors of eight: each operation against NumPy's, compiled and interpreted."""

import numpy as np
from numba import njit

from kernels import vector_memory as m
from kernels import vectors as v


@njit
def arithmetic(a, b, out):
    x, y, place = m.load(a.ctypes.data), m.load(b.ctypes.data), out.ctypes.data
    m.store(place, x + y)
    m.store(place + 32, x - y)
    m.store(place + 64, x * y)
    m.store(place + 96, x / y)
    m.store(place + 128, v.fused(x, y, x))
    m.store(place + 160, v.larger(x, y))
    m.store(place + 256, v.smaller(x, y))
    m.store(place + 192, v.magnitude(x))
    m.store(place + 224, v.zero_below(x, y, np.float32(0.25)))


@njit
def reductions(a, out):
    place = a.ctypes.data
    x, y = m.load(place), m.load(place + 32)
    out[0], out[1] = v.sum_of(x), v.largest_of(x)
    z = v.zeros()
    sums = v.sums_of(x, y, x + y, z, v.splat(np.float32(2)), m.load_splat(place + 4), x, y)
    m.store(out.ctypes.data + 32, sums)
    m.store(out.ctypes.data + 64, v.keep_first(x, 3, np.float32(-1)))


@njit
def whole_numbers(a, out):
    values = m.load(a.ctypes.data)
    m.store(out.ctypes.data, v.to_float(v.nearest(values)))
    m.store(out.ctypes.data + 32, v.power_of_two(v.rounded(values)))


def floats(n, seed=0):
    return np.random.default_rng(seed).standard_normal(n, dtype=np.float32)


def test_arithmetic_is_numpys():
    a, b, out = floats(8), floats(8, 1), np.zeros((9, 8), np.float32)
    arithmetic(a, b, out)
    np.testing.assert_array_equal(out[:4], [a + b, a - b, a * b, a / b])
    np.testing.assert_allclose(out[4], a.astype(np.float64) * b + a, rtol=1e-7)
    expected = [np.maximum(a, b), abs(a), np.where(b >= 0.25, a, 0), np.minimum(a, b)]
    np.testing.assert_array_equal(out[5:], expected)


def test_sums_have_one_order():
    # In float32 the order shows: 2**24 swallows a one that comes alone.
    a = np.zeros(16, np.float32)
    a[[0, 1, 2, 3]] = 2**24, -(2**24), 1, 1
    a[8:] = floats(8)
    out = np.zeros(24, np.float32)
    reductions(a, out)
    assert (out[0], out[1]) == (2, 2**24)  # lane 0 + lane 1 first
    x, y = a[:8], a[8:]
    pairs = y[::2] + y[1::2]
    total = (pairs[0] + pairs[1]) + (pairs[2] + pairs[3])
    np.testing.assert_array_equal(out[[8, 9, 11, 12, 13, 14]], [2, total, 0, 16, -8 * 2.0**24, 2])
    np.testing.assert_array_equal(out[16:], [x[0], x[1], x[2], -1, -1, -1, -1, -1])


def test_rounding_takes_ties_to_even():
    a = np.array([0.5, 1.5, -0.5, -2.5, 100.4, -100.6, 126, -126], np.float32)
    out = np.zeros(16, np.float32)
    whole_numbers(a, out)
    expected = np.rint(a)
    np.testing.assert_array_equal(out[:8], expected)
    np.testing.assert_array_equal(out[8:], 2.0**expected)


@njit
def folded(source, out):
    m.store(out.ctypes.data, v.butterfly(m.load(source.ctypes.data)))


def test_a_butterfly_is_a_hadamard_matrix():
    values, out = floats(8).round(2), np.zeros(8, np.float32)
    folded(values, out)
    signs = [[(-1) ** (i & j).bit_count() for j in range(8)] for i in range(8)]
    np.testing.assert_allclose(out, np.array(signs) @ values, rtol=1e-5, atol=1e-6)
