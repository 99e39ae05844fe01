"""Interleaving rows: padding stays, readers of read-only files, refusals."""

import numpy as np
import pytest

from kernels.interleave import KERNEL, interleave


def test_rows_that_do_not_exist_stay_zero():
    rows, bases, steps, packed = KERNEL.make_inputs(np.random.default_rng(0), 3)
    interleave(rows + 1, bases, steps, packed)
    words = packed[0, 0]
    np.testing.assert_array_equal(words[:3], rows[:, 0, 0] + 1)  # the float16 of three rows
    np.testing.assert_array_equal(words[8:10], rows[0, 0, 1:3] + 1)  # the first row's pair
    assert not words[3:8].any()
    assert not words[14:24].any()


def test_rows_may_be_read_only():
    rows, bases, steps, packed = KERNEL.make_inputs(np.random.default_rng(1), 9)
    expected = packed.copy()
    KERNEL.reference(rows, bases, steps, expected)
    rows.flags.writeable = False
    interleave(rows, bases, steps, packed)
    np.testing.assert_array_equal(packed, expected)


def test_refusals_name_the_array():
    rows, bases, steps, packed = KERNEL.make_inputs(np.random.default_rng(0), 8)
    with pytest.raises(ValueError, match=r"packed is uint16\[2, 3, 104\]"):
        interleave(rows, bases, steps, np.zeros((2, 3, 104), np.uint16))
    with pytest.raises(ValueError, match="rows is int16"):
        interleave(rows.view(np.int16), bases, steps, packed)
    with pytest.raises(ValueError, match=r"words would land at 0\.\.\d+ of 104"):
        interleave(rows, bases + np.array([0] * 11 + [90, 90]), steps, packed)
    with pytest.raises(ValueError, match="pairs of words that stay together"):
        interleave(rows, bases + np.array([0] * 12 + [9]), steps, packed)
    with pytest.raises(ValueError, match="must be 1, or 2"):
        interleave(rows, bases, steps + 1, packed)
