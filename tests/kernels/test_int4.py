"""4-bit numbers between a smallest and a largest value: by hand, bounds, what is not a number."""

import numpy as np
import pytest
from numba import njit

from kernels.half import float_to_half, half_to_float
from kernels.int4 import count, number_of, step_of
from kernels.scale import inverse_of


def test_a_group_by_hand():
    numbers, offsets, steps = count(np.array([[-1, 14, 0.4, 0.6]], np.float32))
    assert offsets.view(np.float16)[0] == -1
    assert steps.view(np.float16)[0] == 1
    assert numbers.tolist() == [[0, 15, 1, 2]]


@pytest.mark.parametrize("low", [-3.0, 0.1, 1000.3])
def test_no_value_is_off_by_more_than_half_a_step(low):
    floats = low + np.random.default_rng(0).random((50, 16), np.float32)
    numbers, offsets, steps = count(floats)
    offset, step = (part.view(np.float16).astype(np.float64)[:, None] for part in (offsets, steps))
    error = np.abs(offset + numbers * step - floats)
    assert (error <= step / 2 + np.spacing(np.float16(low)) / 2 + 1e-6).all()


def test_a_constant_group_has_no_step():
    numbers, offsets, steps = count(np.full((1, 4), 0.3, np.float32))
    assert numbers.tolist() == [[0, 0, 0, 0]]
    assert offsets.view(np.float16)[0] == np.float16(0.3)
    assert steps[0] == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e5, -1e5])
def test_what_float16_cannot_hold_reads_back_as_nan(value):
    group = np.full((1, 4), value, np.float32)
    _, _, steps = count(group)
    assert np.isnan(steps.view(np.float16)[0])


@njit
def compiled(low, high, wrong):
    """Return offset and step of a group's two ends, and the upper one's number."""
    offset = float_to_half(low)
    step = step_of(offset, high, wrong)
    number = number_of(high, half_to_float(offset), inverse_of(step))
    return offset, step, number


def test_compiled_steps_and_numbers_are_counts():
    rng = np.random.default_rng(1)
    for low, high in np.sort(rng.standard_normal((50, 2)).astype(np.float32), axis=1):
        numbers, offsets, steps = count(np.array([[low, high]]))
        offset, step, number = compiled(low, high, np.float32(0))
        assert (offset, step) == (offsets[0], steps[0])
        assert np.rint(number) == numbers[0, 1]
        assert compiled(low, high, np.float32(1))[1] == 0x7E00
