"""Widening a tile of one head, in each dtype."""

import numpy as np
import pytest

from kernels.kv_tile import FLOAT16, FLOAT32, INT8, STORED_INT8, Heads, widen, widen_keys


@pytest.mark.parametrize(
    ("dtype", "code"),
    [(np.float32, FLOAT32), (np.float16, FLOAT16), (np.int8, INT8), (np.int8, STORED_INT8)],
)
def test_one_heads_tokens_come_out_side_by_side(dtype, code):
    rng = np.random.default_rng(0)
    part = (rng.standard_normal((9, 2, 16)) * 50).astype(dtype)
    scales = rng.random((9, 2)).astype(np.float16)
    out = np.zeros((5, 16), np.float32)
    heads = Heads(query=4, kv=2, dim=16, dtype=code)
    places, to = (part.ctypes.data, scales.ctypes.data), (out.ctypes.data, (4, 64))
    widen(*places, heads, 1, (2, 4, 9), *to, False)
    expected = part[2:6, 1].astype(np.float32)
    if code in (INT8, STORED_INT8):
        expected = expected * scales[2:6, 1, None].astype(np.float32)
    if code == STORED_INT8:
        expected = expected.astype(np.float16)
    np.testing.assert_array_equal(out[:4], expected)
    assert not out[4].any()


def test_keys_lie_in_eights():
    part = np.random.default_rng(1).standard_normal((20, 2, 16), dtype=np.float32)
    out = np.zeros((2, 2, 8, 8), np.float32)
    heads = Heads(query=4, kv=2, dim=16, dtype=FLOAT32)
    widen_keys(part.ctypes.data, 0, heads, 1, (3, 11, 20), out.ctypes.data)
    for token in range(11):
        eight, place = divmod(token, 8)
        np.testing.assert_array_equal(out[eight, :, place].ravel(), part[3 + token, 1])
    assert not out[1, :, 3:].any()
