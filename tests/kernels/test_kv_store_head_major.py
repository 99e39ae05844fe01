"""Head-major KV stores: by hand, the same values as token-major, refusals."""

import re

import numpy as np
import pytest

from kernels import kv_store, kv_store_head_major
from kernels.kv_store_head_major import KERNEL
from tests.kernels.machine_code import assembly, compiled, x86

variants = pytest.mark.parametrize("name", KERNEL.variants)


@variants
def test_toy_by_hand(name):
    """One layer, two heads of one value, three slots; tokens 2 and 3 land in slots 2 and 0."""
    k_slab, v_slab = np.zeros((2, 1, 2, 3, 1), np.float32)
    k_tokens = np.array([[20, 21], [30, 31]], np.float32).reshape(2, 1, 2, 1)
    KERNEL.variants[name](k_slab, v_slab, k_tokens, -k_tokens, 2)
    assert k_slab.reshape(2, 3).tolist() == [[30, 0, 20], [31, 0, 21]]
    assert v_slab.reshape(2, 3).tolist() == [[-30, 0, -20], [-31, 0, -21]]


@variants
@pytest.mark.parametrize("head_dim", [5, 64])
def test_it_holds_what_token_major_does(name, head_dim):
    rng = np.random.default_rng(0)
    k_tokens, v_tokens = rng.integers(0, 1 << 16, (2, 6, 2, 3, head_dim), dtype=np.uint16)
    token_major = np.zeros((2, 2, 4, 3, head_dim), np.uint16)
    head_major = np.zeros((2, 2, 3, 4, head_dim), np.uint16)
    kv_store.KERNEL.reference(*token_major, k_tokens, v_tokens, 1)
    KERNEL.variants[name](*head_major, k_tokens, v_tokens, 1)
    np.testing.assert_array_equal(head_major.swapaxes(2, 3), token_major)


@variants
def test_a_token_major_slab_is_refused(name):
    slab, tokens = np.zeros((2, 4, 3, 5), np.float32), np.zeros((1, 2, 3, 5), np.float32)
    with pytest.raises(ValueError, match=r"k_tokens is .*; it must be float32\[1, 2, 4, 5\]"):
        KERNEL.variants[name](slab, slab.copy(), tokens, tokens, 0)


@compiled
@x86
@pytest.mark.parametrize("module", [kv_store, kv_store_head_major])
def test_the_nontemporal_variants_store_past_the_cache(module):
    inputs = module.make_inputs(np.random.default_rng(0), 3)
    text = assembly(module.njit_nontemporal, *inputs)
    assert re.search(r"\bv?movnt(ps|pd|dq)\b", text)
    assert re.search(r"\bsfence\b", text)
