"""Q4_K's product, by hand."""

import numpy as np

from kernels import matvec_q4_k as q4_k


def test_each_block_of_a_superblock_has_its_own_scale_and_minimum():
    packed = np.zeros((1, 1, q4_k.SUPERBLOCK_BYTES), np.uint8)
    halves = np.zeros(16, np.float16)
    halves[0], halves[8] = 0.5, 0.25  # row 0: d, dmin
    packed[0, 0, : q4_k.HEAD] = halves.view(np.uint8)
    part = q4_k.HEAD + 5 * q4_k.PART  # block 5
    packed[0, 0, part : part + 2] = 63, 8
    packed[0, 0, part + q4_k.PAIRS] = 3  # weight 0
    values = np.zeros((1, 256), np.int8)
    values[0, 5 * 32] = 10
    scales, sums = np.ones((1, 8), np.float32), np.zeros((1, 8), np.float32)
    sums[0, 5] = 10
    out = np.zeros((1, 8), np.float32)
    q4_k.KERNEL.variants["njit_integer"](packed, values, scales, sums, out)
    np.testing.assert_array_equal(out[0, :2], [0.5 * 63 * 3 * 10 - 0.25 * 8 * 10, 0])
