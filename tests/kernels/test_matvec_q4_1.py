"""Q4_1's product, by hand."""

import numpy as np

from kernels import matvec_q4_1


def test_minima_meet_the_activations_sum():
    packed = np.zeros((1, 1, matvec_q4_1.BLOCK_BYTES), np.uint8)
    halves = np.zeros(16, np.float16)
    halves[1], halves[8 + 1] = 0.5, -3  # row 1
    packed[0, 0, : matvec_q4_1.WORDS] = halves.view(np.uint8)
    packed[0, 0, matvec_q4_1.WORDS + 4 * 1 + 3] = 0xC0  # row 1, weight 16 + 3: 12
    values = np.zeros((1, 32), np.int8)
    values[0, 19], values[0, 0] = 10, 5
    out = np.zeros((1, 8), np.float32)
    scale, sums = np.array([[2]], np.float32), np.array([[2 * 15]], np.float32)
    matvec_q4_1.KERNEL.variants["njit_integer"](packed, values, scale, sums, out)
    np.testing.assert_array_equal(out[0], [0, 0.5 * 12 * 10 * 2 - 3 * 30, 0, 0, 0, 0, 0, 0])
