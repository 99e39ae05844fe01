"""The exponential: its ends, and refusals."""

import numpy as np
import pytest

from kernels.exponential import KERNEL

exponential = KERNEL.variants["njit_vectors"]


def test_the_ends_of_the_range():
    values = np.array([-np.inf, -1e30, -87.4, 0, 88.3, 200, np.inf, -0.0], np.float32)
    out = np.zeros(8, np.float32)
    exponential(values, out)
    np.testing.assert_array_equal(out[[0, 1, 2, 3, 7]], [0, 0, 0, 1, 1])
    top = np.exp(np.float64(np.float32(88.3)))
    np.testing.assert_allclose(out[4:7], [top] * 3, rtol=3e-7)


def test_refusals_name_the_array():
    with pytest.raises(ValueError, match=r"values is float64\[3\]"):
        exponential(np.zeros(3), np.zeros(3, np.float32))
    with pytest.raises(ValueError, match="out has 2 values, values 3"):
        exponential(np.zeros(3, np.float32), np.zeros(2, np.float32))
