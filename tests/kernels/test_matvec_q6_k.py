"""Q6_K's product, by hand."""

import numpy as np

from kernels import matvec_q6_k as q6_k


def test_each_half_of_a_block_has_its_own_signed_scale():
    packed = np.zeros((1, 1, q6_k.SUPERBLOCK_BYTES), np.uint8)
    halves = np.zeros(8, np.float16)
    halves[3] = 0.5  # row 3
    packed[0, 0, : q6_k.HEAD] = halves.view(np.uint8)
    part = q6_k.HEAD + 2 * q6_k.PART  # block 2
    packed[0, 0, part + 2 * 3 : part + 2 * 3 + 2] = 1, 0xFE  # scales 1 and -2
    values = np.zeros((1, 256), np.int8)
    values[0, 2 * 32], values[0, 2 * 32 + 16] = 10, 7  # weights there are 0 - 32
    scales, sums = np.ones((1, 8), np.float32), np.zeros((1, 8), np.float32)
    out = np.zeros((1, 8), np.float32)
    q6_k.KERNEL.variants["njit_integer"](packed, values, scales, sums, out)
    np.testing.assert_array_equal(out[0, 2:5], [0, 0.5 * (-320 + 2 * 32 * 7), 0])
