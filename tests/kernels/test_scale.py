"""Scales: rounded up, never infinite, NaN where values are not numbers."""

import numpy as np
import pytest

from kernels import scale

STEP = np.float32(1 / scale.INT8_STEPS)


def value_of(bits) -> np.float16:
    return np.uint16(bits).view(np.float16)


@pytest.mark.parametrize("largest", [1e-9, 7.5e-6, 1e-3, 0.1, 1.0, 127.0, 3e4, 8e6])
def test_the_largest_value_stays_within_the_steps(largest):
    chosen = value_of(scale.scale_of(np.float32(largest), STEP))
    assert np.float32(largest) / np.float32(chosen) <= np.float32(127.0001)
    below = np.nextafter(chosen, np.float16(0))
    assert np.float32(below) < np.float32(largest) * STEP, "a smaller scale would have done"


@pytest.mark.parametrize("largest", [np.inf, np.nan, 65504 * 127.2, 3e38])
def test_what_no_scale_can_carry_gets_nan(largest):
    bits = scale.scale_of(np.float32(largest), STEP)
    assert bits == scale.NAN_BITS
    assert scale.inverse_of(bits) == 0


def test_zeros_have_scale_zero():
    assert scale.scale_of(np.float32(0), STEP) == 0
    assert scale.inverse_of(np.uint16(0)) == 0


def test_the_inverse_is_the_scales_own():
    assert scale.inverse_of(np.float16(0.25).view(np.uint16)) == 4
