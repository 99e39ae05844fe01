"""Bit-for-bit block stores: by hand, what they leave alone, and their instructions."""

import re

import numpy as np
import pytest

from kernels import block_copy
from kernels.block_copy import KERNEL
from tests.kernels.machine_code import assembly, compiled, x86

variants = pytest.mark.parametrize("name", KERNEL.variants)


@variants
def test_toy_by_hand(name):
    """Two blocks of two tokens, two layers, one head of one value; V a hundred above K."""
    slab = np.zeros((2, 16), np.uint8)
    slots, rows = np.array([1, 0, 1]), np.array([0, 1, 1])
    places = np.array([[0, 4, 0, 0], [8, 12, 0, 0]])
    k_tokens = np.array([[10, 11], [20, 21], [30, 31]], np.uint16).reshape(3, 2, 1, 1)
    KERNEL.variants[name](slab, slots, rows, places, k_tokens, k_tokens + np.uint16(100))
    assert slab.view(np.uint16).tolist() == [
        [0, 20, 0, 120, 0, 21, 0, 121],
        [10, 30, 110, 130, 11, 31, 111, 131],
    ]


@variants
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_every_bit_pattern_survives(name, dtype):
    rng = np.random.default_rng(3)
    shape, n_bytes = (1, 1, 3, 40), 120 * np.dtype(dtype).itemsize
    # Random bits hold NaNs with payloads and denormals, which a conversion would change.
    k_tokens, v_tokens = (np.frombuffer(rng.bytes(n_bytes), dtype).reshape(shape) for _ in range(2))
    slab, zero = np.zeros((1, 2 * n_bytes), np.uint8), np.zeros(1, np.int64)
    KERNEL.variants[name](slab, zero, zero, np.array([[0, n_bytes, 0, 0]]), k_tokens, v_tokens)
    assert slab.tobytes() == k_tokens.tobytes() + v_tokens.tobytes()


@compiled
@x86
def test_each_variant_holds_the_stores_it_claims():
    inputs = KERNEL.make_inputs(np.random.default_rng(0), 2)
    past = assembly(block_copy.nontemporal, *inputs)
    assert re.search(r"\bv?movnt(ps|pd|dq)\b", past)
    assert re.search(r"\bsfence\b", past)
    through = assembly(block_copy.vector, *inputs)
    assert re.search(r"\bv?movu", through)
    assert not re.search(r"\bv?movnt", through)
