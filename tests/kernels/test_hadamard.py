"""Rotating heads: the matrix by definition, its own inverse, refusals."""

import numpy as np
import pytest

from kernels.hadamard import BACK, FORTH

variants = pytest.mark.parametrize("variant", FORTH.variants)


@variants
@pytest.mark.parametrize("head_dim", [1, 2, 4, 8, 16, 64, 128])
def test_it_is_the_matrix_by_definition(variant, head_dim):
    source = np.random.default_rng(0).standard_normal((3, head_dim)).astype(np.float16)
    rotated = np.zeros((3, head_dim), np.float32)
    FORTH.variants[variant](rotated, source.view(np.uint16), True)
    signs = [[(-1.0) ** (i & j).bit_count() for j in range(head_dim)] for i in range(head_dim)]
    expected = source.astype(np.float64) @ np.array(signs) / np.sqrt(head_dim)
    np.testing.assert_allclose(rotated, expected, atol=1e-5)


@variants
@pytest.mark.parametrize("is_rotated", [False, True])
@pytest.mark.parametrize("head_dim", [2, 8, 64, 128])
def test_back_is_the_inverse(variant, is_rotated, head_dim):
    source = np.random.default_rng(1).standard_normal((5, head_dim)).astype(np.float16)
    rotated, narrowed = np.zeros((5, head_dim), np.float32), np.zeros((5, head_dim), np.uint16)
    FORTH.variants[variant](rotated, source.view(np.uint16), is_rotated)
    BACK.variants[variant](narrowed, rotated, is_rotated)
    np.testing.assert_allclose(narrowed.view(np.float16), source, rtol=1e-3, atol=1e-5)


@variants
def test_a_large_value_is_spread_over_its_head(variant):
    source = np.zeros((1, 64), np.float16)
    source[0, 5] = 80
    rotated = np.zeros((1, 64), np.float32)
    FORTH.variants[variant](rotated, source.view(np.uint16), True)
    np.testing.assert_array_equal(np.abs(rotated), 10)


@pytest.mark.parametrize("kernel", [FORTH, BACK])
def test_other_heads_are_refused(kernel):
    written, read, _ = kernel.make_inputs(np.random.default_rng(0), 5)
    with pytest.raises(ValueError, match="power of two"):
        kernel.variants["njit"](written[:, :6].copy(), np.zeros((5, 6), read.dtype), True)
    with pytest.raises(ValueError, match="must be"):
        kernel.variants["njit"](written[:-1], read, False)
    with pytest.raises(ValueError, match="power of two"):
        kernel.variants["njit"](written, read.ravel(), False)
