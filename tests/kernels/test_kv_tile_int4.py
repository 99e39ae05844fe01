"""4-bit numbers: any stretch of a block comes out as the codec's decoder writes it, bit for bit."""

import numpy as np
import pytest

from kernels import block_widen, hadamard, int4_channels, int4_rows
from kernels.kv_tile import STORED_INT4, STORED_ROTATED, TILE_TOKENS, Heads, widen, widen_keys

rotations = pytest.mark.parametrize("dtype", [STORED_INT4, STORED_ROTATED])


def decoded(dtype, source):
    """Return what the codec stores and decodes: (numbers, scales, float32[tokens, heads, dim])."""
    n_tokens, heads, dim = source.shape
    rotated = np.empty((n_tokens * heads, dim), np.float32)
    halves = source.astype(np.float16).view(np.uint16).reshape(-1, dim)
    hadamard.FORTH.variants["njit"](rotated, halves, dtype == STORED_ROTATED)
    sides = []
    for kernel, floats in (
        (int4_channels, rotated.reshape(n_tokens, heads * dim)),
        (int4_rows, rotated),
    ):
        n_groups = floats.shape[1] if kernel is int4_channels else len(floats)
        shape = (n_tokens // 2, n_groups) if kernel is int4_channels else (n_groups, dim // 2)
        numbers, scales = np.zeros(shape, np.uint8), np.zeros((2, n_groups), np.uint16)
        kernel.QUANTIZE.variants["njit"](numbers, *scales, floats)
        back, narrow = np.empty_like(floats), np.empty(rotated.shape, np.uint16)
        kernel.RESTORE.variants["njit"](back, numbers, *scales)
        hadamard.BACK.variants["njit"](narrow, back.reshape(-1, dim), dtype == STORED_ROTATED)
        values = narrow.view(np.float16).astype(np.float32).reshape(source.shape)
        sides.append((numbers, scales, values))
    return sides


def values_of(n_tokens, heads, dim, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n_tokens, heads, dim)) * rng.choice([0.1, 1, 8], dim) + 1


@rotations
@pytest.mark.parametrize("n_tokens", [2, 10, 64, 100])
@pytest.mark.parametrize("dim", [16, 64, 128])
def test_any_stretch_of_a_block_is_what_was_decoded(dtype, n_tokens, dim):
    sides = decoded(dtype, values_of(n_tokens, 3, dim))
    heads = Heads(3, 3, dim, dtype)
    rng = np.random.default_rng(1)
    for are_keys, (numbers, scales, expected) in zip((True, False), sides, strict=True):
        for _ in range(8):
            first = int(rng.integers(0, n_tokens))
            n = int(rng.integers(1, min(TILE_TOKENS, n_tokens - first) + 1))
            out = np.zeros((n + 1, dim), np.float32)
            places = numbers.ctypes.data, scales.ctypes.data
            to = out.ctypes.data, (4, 4 * dim)
            widen(*places, heads, 2, (first, n, n_tokens), *to, are_keys)
            np.testing.assert_array_equal(out[:n], expected[first : first + n, 2])
            assert not out[n].any()


@rotations
def test_keys_lie_in_eights(dtype):
    (numbers, scales, expected), _ = decoded(dtype, values_of(20, 2, 32))
    out = np.zeros((2, 4, 8, 8), np.float32)
    places = numbers.ctypes.data, scales.ctypes.data
    widen_keys(*places, Heads(4, 2, 32, dtype), 1, (3, 11, 20), out.ctypes.data)
    for token in range(11):
        eight, place = divmod(token, 8)
        np.testing.assert_array_equal(out[eight, :, place].ravel(), expected[3 + token, 1])
    assert not out[1, :, 3:].any()


@rotations
def test_groups_without_numbers_come_out_as_they_are_decoded(dtype):
    source = values_of(8, 2, 16)
    source[3, 1, 5] = np.nan
    source[:, 0] = 2
    sides = decoded(dtype, source)
    for are_keys, (numbers, scales, expected) in zip((True, False), sides, strict=True):
        assert np.isnan(expected).any()
        assert not np.isnan(expected).all()
        row = np.concatenate([numbers.ravel(), scales.ravel().view(np.uint8)])
        k_bytes, k_scales, v_scales = block_widen.part_bytes(dtype, source.shape)
        assert (k_bytes, k_scales if are_keys else v_scales) == (numbers.nbytes, scales.nbytes)
        out = np.zeros((8, 16), np.float32)
        places = row.ctypes.data, row.ctypes.data + numbers.nbytes
        heads, to = Heads(2, 2, 16, dtype), (out.ctypes.data, (4, 64))
        for head in range(2):
            widen(*places, heads, head, (0, 8, 8), *to, are_keys)
            np.testing.assert_array_equal(out, expected[:, head])
