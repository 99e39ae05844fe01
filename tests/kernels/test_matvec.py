"""What all products share: four tokens at a time or one, the same bits; refusals."""

import numpy as np
import pytest

from kernels import matvec, matvec_q4_1, matvec_q4_k, matvec_q6_k, matvec_q8_0
from kernels.matvec import Activations, Output, address_of

LAYOUTS = [matvec_q4_1, matvec_q8_0, matvec_q4_k, matvec_q6_k]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_a_tokens_bits_do_not_depend_on_its_batch(layout):
    inputs = layout.KERNEL.make_inputs(np.random.default_rng(0), 20)
    packed, values, scales, sums, together = inputs  # 7 tokens: four at once and three alone
    product = layout.KERNEL.variants["njit_integer"]
    product(*inputs)
    for token in range(len(values)):
        row = slice(token, token + 1)
        alone = np.zeros_like(together[row])
        product(packed, values[row].copy(), scales[row].copy(), sums[row].copy(), alone)
        np.testing.assert_array_equal(alone.view(np.uint32), together[row].view(np.uint32))


def test_groups_can_be_shared_out():
    packed, values, scales, sums, out = matvec_q4_1.KERNEL.make_inputs(np.random.default_rng(1), 40)
    expected = out.copy()
    matvec_q4_1.KERNEL.variants["njit_integer"](packed, values, scales, sums, expected)
    n_tokens, n_values = values.shape
    places = map(address_of, (values, scales, sums))
    activations = Activations(*places, 0, n_values, n_values, n_tokens)
    output = Output(address_of(out), out.shape[1])
    for first, last in ((3, 5), (0, 0), (0, 3)):
        matvec_q4_1.multiply(address_of(packed), first, last, activations, output)
    np.testing.assert_array_equal(out, expected)


def test_many_tokens_pass_in_tiles():
    rng = np.random.default_rng(2)
    packed = matvec_q8_0.make_packed(rng, 1)
    n_tokens = 2 * matvec.TILE_TOKENS + 5 if not _interpreted() else matvec.TILE_TOKENS + 1
    values, scales, sums = matvec.quantized(rng, n_tokens, 64)
    expected, got = np.zeros((2, n_tokens, 8), np.float32)
    matvec_q8_0.KERNEL.reference(packed, values, scales, sums, expected)
    matvec_q8_0.KERNEL.variants["njit_integer"](packed, values, scales, sums, got)
    matvec_q8_0.KERNEL.check(expected, got)


def _interpreted():
    from numba import config

    return config.DISABLE_JIT


def test_refusals_name_the_array():
    packed, values, scales, sums, out = matvec_q4_1.KERNEL.make_inputs(np.random.default_rng(0), 8)
    product = matvec_q4_1.KERNEL.variants["njit_integer"]
    with pytest.raises(ValueError, match=r"values is int64"):
        product(packed, values.astype(np.int64), scales, sums, out)
    with pytest.raises(ValueError, match=r"out is float32\[\d+, 16\]"):
        product(packed, values, scales, sums, np.zeros((len(out), 16), np.float32))
    with pytest.raises(ValueError, match="contiguous: False"):
        product(packed, values, np.asfortranarray(np.repeat(scales, 2, 0))[::2], sums, out)


def test_interleaved_blocks_become_rows():
    blocks = np.arange(2 * 3 * 8 * 4).reshape(2, 3, 8, 4)
    rows = matvec.by_rows(blocks)
    assert rows.shape == (16, 12)
    np.testing.assert_array_equal(rows[9], blocks[1, :, 1].ravel())
