"""Q8_0's product, by hand, at the ends of its ranges."""

import numpy as np

from kernels import matvec_q8_0


def test_the_lowest_weight_times_the_lowest_activation():
    packed = np.zeros((1, 1, matvec_q8_0.BLOCK_BYTES), np.uint8)
    packed[0, 0, : matvec_q8_0.WORDS] = np.ones(8, np.float16).view(np.uint8)
    packed[0, 0, matvec_q8_0.WORDS :] = 0x80
    values = np.full((1, 32), -127, np.int8)
    out = np.zeros((1, 8), np.float32)
    scale, sums = np.ones((1, 1), np.float32), np.full((1, 1), -32 * 127, np.float32)
    matvec_q8_0.KERNEL.variants["njit_integer"](packed, values, scale, sums, out)
    np.testing.assert_array_equal(out[0], np.full(8, 32 * 128 * 127))
