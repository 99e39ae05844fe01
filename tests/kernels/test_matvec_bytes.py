"""The product of weights kept as bytes, by hand."""

import numpy as np

from kernels import matvec_bytes


def test_scales_and_minima_are_float32():
    packed = np.zeros((1, 1, matvec_bytes.BLOCK_BYTES), np.uint8)
    floats = np.zeros(16, np.float32)
    floats[7], floats[8 + 7] = 1e-6, 0.25  # row 7; a float16 would lose the first
    packed[0, 0, : matvec_bytes.WORDS] = floats.view(np.uint8)
    packed[0, 0, matvec_bytes.WORDS + 4 * 7 + 2] = 63  # row 7, weight 2
    values = np.zeros((1, 32), np.int8)
    values[0, 2] = 100
    out = np.zeros((1, 8), np.float32)
    scale, sums = np.ones((1, 1), np.float32), np.full((1, 1), 100, np.float32)
    matvec_bytes.KERNEL.variants["njit_integer"](packed, values, scale, sums, out)
    np.testing.assert_allclose(out[0, 7], 1e-6 * 6300 + 25, rtol=1e-6)
    assert not out[0, :7].any()
