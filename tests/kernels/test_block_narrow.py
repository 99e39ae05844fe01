"""Block stores that convert to float16: rounding, infinities, and their instructions."""

import re

import numpy as np
import pytest

from kernels import block_narrow, half
from kernels.block_narrow import KERNEL
from tests.kernels.machine_code import assembly, compiled, x86

variants = pytest.mark.parametrize("name", KERNEL.variants)


@variants
@pytest.mark.parametrize("head_dim", [7, 31, 32, 33, 64, 71])
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_values_round_to_even_and_what_is_too_large_is_infinite(name, head_dim):
    k_tokens = np.linspace(-1, 1, head_dim, dtype=np.float32).reshape(1, 1, 1, -1)
    v_tokens = k_tokens.copy()
    v_tokens[..., :4] = 1 + 2**-11, 1 + 3 * 2**-11, 65520, -1e30
    slab, zero = np.zeros((1, 4 * head_dim), np.uint8), np.zeros(1, np.int64)
    places = np.array([[0, 2 * head_dim, 0, 0]])
    KERNEL.variants[name](slab, zero, zero, places, k_tokens, v_tokens)
    k, v = slab.view(np.float16).reshape(2, -1)
    np.testing.assert_array_equal(k, k_tokens.ravel().astype(np.float16))
    assert v[:4].tolist() == [1, 1 + 2**-9, np.inf, -np.inf]


@compiled
@x86
@pytest.mark.skipif(not half.has_instruction(), reason="this processor has no F16C")
def test_each_variant_converts_in_vectors():
    inputs = KERNEL.make_inputs(np.random.default_rng(0), 2)
    for kernel in (block_narrow.scalar, block_narrow.vector, block_narrow.nontemporal):
        assert re.search(r"\bvcvtps2ph\b.*%[yz]mm", assembly(kernel, *inputs))
    assert re.search(r"\bv?movnt", assembly(block_narrow.nontemporal, *inputs))
