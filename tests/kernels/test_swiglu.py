"""The gate: its ends, in place, and refusals."""

import numpy as np
import pytest

from kernels.swiglu import KERNEL

gate_rows = KERNEL.variants["njit_vectors"]


def test_a_gate_far_to_either_side_closes_or_opens():
    gate = np.array([[-1000, -88, 0, 1, 50, 1000, -1e-6, -50]], np.float32)
    up = np.full((1, 8), 2, np.float32)
    gate_rows(gate, up, gate)
    sigmoid = 1 / (1 + np.exp(-1))
    np.testing.assert_allclose(
        gate[0], [0, 0, 0, 2 * sigmoid, 100, 2000, -1e-6, 0], rtol=1e-6, atol=1e-19
    )


def test_refusals_name_the_array():
    rows = np.zeros((2, 8), np.float32)
    with pytest.raises(ValueError, match=r"up is float32\[1, 8\]"):
        gate_rows(rows, rows[:1], rows.copy())
    with pytest.raises(ValueError, match="a multiple of 8"):
        gate_rows(rows[:, :4].copy(), rows[:, :4].copy(), rows[:, :4].copy())
