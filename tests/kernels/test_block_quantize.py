"""Block stores that quantise to int8: error bound, zeros, what is not a number, instructions."""

import re

import numpy as np
import pytest

from kernels import block_quantize
from kernels.block_quantize import KERNEL
from tests.kernels.machine_code import assembly, compiled, x86

variants = pytest.mark.parametrize("name", KERNEL.variants)


def store(name, k_tokens):
    """Store one layer's tokens in a block of their own and return (int8 values, float16 scales)."""
    n_tokens, _, heads, head_dim = k_tokens.shape
    n_values, n_scales = n_tokens * heads * head_dim, n_tokens * heads * 2
    n_values += n_values % 2
    slab = np.zeros((1, 2 * (n_values + n_scales)), np.uint8)
    places = np.array([[0, n_values, 2 * n_values, 2 * n_values + n_scales]])
    zeros, rows = np.zeros(n_tokens, np.int64), np.arange(n_tokens)
    KERNEL.variants[name](slab, zeros, rows, places, k_tokens, k_tokens)
    values = slab[0, : k_tokens.size].view(np.int8).reshape(n_tokens, heads, head_dim)
    scales = slab[0, 2 * n_values : 2 * n_values + n_scales].view(np.float16)
    return values, scales.reshape(n_tokens, heads)


@variants
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("head_dim", [3, 63, 64, 65, 128])
def test_no_value_is_off_by_more_than_half_a_step(name, dtype, head_dim):
    rng = np.random.default_rng(head_dim)
    tokens = rng.standard_normal((5, 1, 2, head_dim)) * 10.0 ** rng.integers(-5, 4, (5, 1, 2, 1))
    tokens = tokens.astype(dtype)
    values, scales = store(name, tokens)
    step = scales.astype(np.float64)[..., None]
    error = np.abs(values * step - tokens[:, 0].astype(np.float64))
    assert (error <= step * (0.5 + 1e-5)).all()
    assert (np.abs(values).max(axis=2) >= 64).all() or dtype is np.float16


@variants
def test_what_is_not_a_number_reads_back_as_none(name):
    tokens = np.ones((1, 1, 5, 64), np.float32)
    tokens[0, 0, 0] = 0
    for head, value in enumerate((np.nan, np.inf, -np.inf), 1):
        tokens[0, 0, head, 40] = value
    values, scales = store(name, tokens)
    assert scales[0, 0] == 0
    assert np.isnan(scales[0, 1:4]).all()
    assert not values[0, :4].any()
    assert (values[0, 4] == 127).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("head_dim", [64, 128])
@pytest.mark.parametrize("shift", [0, 2])
def test_on_the_grid_of_cache_lines_and_off_it_the_bytes_are_the_same(dtype, head_dim, shift):
    """Three layers of two heads and four rows a block; memory off the grid takes another path."""
    n_layers, heads, block_tokens = 3, 2, 4
    rng = np.random.default_rng(head_dim)
    tokens = rng.standard_normal((2, 7, n_layers, heads, head_dim)).astype(dtype)
    tokens[0, 3, 1, 0, 5], tokens[1, 6, 2, 1] = np.nan, 0
    side, scales = block_tokens * heads * head_dim, 64
    starts = np.arange(n_layers)[:, None] * 2 * (side + scales)
    places = starts + np.array([0, side, 2 * side, 2 * side + scales])
    slots, rows = np.divmod(np.arange(7), block_tokens)
    memory = np.zeros(2 * n_layers * 2 * (side + scales) + 128, np.uint8)
    start = -memory.ctypes.data % 64 + shift
    slab = memory[start : len(memory) - 128 + start].reshape(2, -1)
    assert slab.ctypes.data % 64 == shift
    expected = slab.copy()
    KERNEL.variants["numpy_per_layer"](expected, slots, rows, places, *tokens)
    KERNEL.variants["njit_nontemporal"](slab, slots, rows, places, *tokens)
    np.testing.assert_array_equal(slab, expected)
    assert not memory[:start].any()
    assert not memory[start + slab.size :].any()


@compiled
@x86
@pytest.mark.parametrize("size", [1, 2])
def test_the_nontemporal_variant_rounds_in_vectors_past_the_cache(size):
    text = assembly(block_quantize.nontemporal, *KERNEL.make_inputs(np.random.default_rng(0), size))
    assert re.search(r"\bv?cvtps2dq\b", text)
    assert re.search(r"\bv?movnt(ps|pd|dq)\b", text)
    assert re.search(r"\bsfence\b", text)
