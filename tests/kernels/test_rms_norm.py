"""The RMS norm, by hand, of padded rows too."""

import numpy as np
import pytest

from kernels import rms_norm


def test_the_mean_square_becomes_one():
    source = np.tile(np.array([3, -4], np.float32), 4)[None]
    out = np.zeros_like(source)
    rms_norm.norm_rows(source, np.full(8, 2, np.float32), 0.0, out)
    np.testing.assert_allclose(out[0, :2], np.array([6, -8]) / np.sqrt(12.5), rtol=1e-6)


def test_padding_does_not_count():
    source, weights, out = np.zeros((3, 16), np.float32)
    source[:10], weights[:10] = 2, 1
    places = (array.ctypes.data for array in (source, weights, out))
    rms_norm.norm_row(*places, 10, 0.0)
    np.testing.assert_array_equal(out, [1] * 10 + [0] * 6)


def test_refusals_name_the_array():
    rows = np.zeros((2, 8), np.float32)
    with pytest.raises(ValueError, match=r"weights is float32\[7\]"):
        rms_norm.norm_rows(rows, np.zeros(7, np.float32), 1e-5, rows.copy())
    with pytest.raises(ValueError, match="a multiple of 8"):
        rms_norm.norm_rows(rows[:, :7].copy(), rows[0, :7], 1e-5, rows[:, :7].copy())
