"""Turning pairs, by hand; refusals."""

import numpy as np
import pytest

from kernels.rope import turn_pairs


@pytest.mark.parametrize(
    ("halves", "expected"), [(False, [-1, 0, -3, 2, 4]), (True, [-2, -3, 0, 1, 4])]
)
def test_a_quarter_turn(halves, expected):
    heads = np.arange(5, dtype=np.float32)[None, None].copy()
    turn_pairs(heads, np.zeros((1, 2), np.float32), np.ones((1, 2), np.float32), halves)
    np.testing.assert_array_equal(heads[0, 0], expected)


def test_refusals_name_what_is_wrong():
    heads, angles = np.zeros((2, 1, 8), np.float32), np.zeros((2, 4), np.float32)
    with pytest.raises(ValueError, match="heads is float64"):
        turn_pairs(heads.astype(np.float64), angles, angles, False)
    with pytest.raises(ValueError, match="do not fit 2 tokens of 8 values"):
        turn_pairs(heads, np.zeros((2, 5), np.float32), np.zeros((2, 5), np.float32), False)
    with pytest.raises(ValueError, match="do not fit 2 tokens"):
        turn_pairs(heads, angles[:1], angles[:1], False)
