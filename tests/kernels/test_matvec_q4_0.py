"""Q4_0's product, by hand."""

import numpy as np

from kernels import matvec_q4_0


def test_weights_lie_around_eight():
    packed = np.full((1, 1, matvec_q4_0.BLOCK_BYTES), 0x88, np.uint8)  # every weight 8: zero
    halves = np.zeros(8, np.float16)
    halves[2] = 0.5
    packed[0, 0, : matvec_q4_0.WORDS] = halves.view(np.uint8)
    packed[0, 0, matvec_q4_0.WORDS + 4 * 2] = 0x8F  # row 2, weight 0: 15 - 8
    values = np.zeros((1, 32), np.int8)
    values[0, :2] = 100, 3
    out = np.zeros((1, 8), np.float32)
    scale, sums = np.array([[2]], np.float32), np.array([[206]], np.float32)
    matvec_q4_0.KERNEL.variants["njit_integer"](packed, values, scale, sums, out)
    np.testing.assert_array_equal(out[0], [0, 0, 0.5 * 7 * 100 * 2, 0, 0, 0, 0, 0])
