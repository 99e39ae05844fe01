"""Quantised activations: how near they are, and what cannot be scaled."""

import numpy as np
import pytest

from kernels.activation_quant import KERNEL

quantize = KERNEL.variants["njit_blocks"]


def test_values_come_back_within_half_a_step():
    floats = np.random.default_rng(0).standard_normal((5, 96), dtype=np.float32)
    values, scales = np.zeros((5, 96), np.int8), np.zeros((5, 3), np.float32)
    sums = np.zeros_like(scales)
    quantize(floats, values, scales, sums)
    steps = np.repeat(scales, 32, axis=1)
    assert (abs(values * steps - floats) <= 0.5001 * steps).all()
    assert abs(values).max(axis=1).tolist() == [127] * 5
    np.testing.assert_allclose(sums, (values * steps).reshape(5, 3, 32).sum(axis=2), rtol=1e-5)


def test_zeros_and_the_smallest_numbers_become_zeros():
    floats = np.zeros((1, 64), np.float32)
    floats[0, 32:] = 1e-38  # 127 / 1e-38 is infinite
    values, scales = np.ones((1, 64), np.int8), np.ones((1, 2), np.float32)
    sums = np.ones_like(scales)
    quantize(floats, values, scales, sums)
    assert not values.any()
    assert not scales.any()
    assert not sums.any()


def test_refusals_name_the_array():
    floats, values, scales, sums = KERNEL.make_inputs(np.random.default_rng(0), 2)
    with pytest.raises(ValueError, match=r"floats is float32\[2, 95\]"):
        quantize(floats[:, :95].copy(), values, scales, sums)
    with pytest.raises(ValueError, match=r"scales is float32\[2, 2\]"):
        quantize(floats, values, scales[:, :2].copy(), sums)
