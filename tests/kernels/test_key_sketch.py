"""Key sketches: two bits by hand, how far a score may be off, and refusals."""

from __future__ import annotations

import numpy as np
import pytest

from kernels.key_sketch import LEVELS, score, sketch


def test_two_bits_of_four_channels_by_hand():
    low, high = np.array([[0, 0, -4, 5]], np.float16), np.array([[4, 8, 4, 5]], np.float16)
    keys = np.array([[[0, 8, 0, 5]], [[3, 3, -4, 5]]], np.float32)
    # Steps 1, 2, 2 and none: codes 0 3 2 0, then 3 1 0 0.
    codes = sketch(keys, low, high)
    assert codes.tolist() == [[[0 | 3 << 2 | 2 << 4]], [[3 | 1 << 2]]]
    out = np.zeros((1, 2), np.float32)
    query = np.array([[2, 1, 1, 1]], np.float32)
    score(query, low[None], high[None], codes[None], out)
    # Each code stands for the middle of its step.
    first = (2 * 0.5 + 1 * 7 + 1 * 1 + 5) / 2
    second = (2 * 3.5 + 1 * 3 - 1 * 3 + 5) / 2
    np.testing.assert_allclose(out, [[first, second]], rtol=1e-6)


def test_no_score_is_further_off_than_half_a_step_of_every_channel():
    rng = np.random.default_rng(5)
    keys = rng.standard_normal((9, 16, 2, 32)).astype(np.float16).astype(np.float32)
    query = rng.standard_normal((4, 32), dtype=np.float32)
    low, high = keys.min(axis=1).astype(np.float16), keys.max(axis=1).astype(np.float16)
    codes = np.stack([sketch(*block) for block in zip(keys, low, high, strict=True)])
    out = np.zeros((4, 9 * 16), np.float32)
    score(query, low, high, codes, out)
    for head in range(4):
        logits = keys[:, :, head // 2] @ query[head] / np.sqrt(32)
        reach = (high - low).astype(np.float32)[:, head // 2] @ np.abs(query[head]) / np.sqrt(32)
        limit = reach[:, None] / LEVELS / 2 + 1e-4
        assert (np.abs(out[head].reshape(9, 16) - logits) <= limit).all()


def test_what_does_not_fit_is_refused():
    query, low = np.zeros((6, 16), np.float32), np.zeros((3, 2, 16), np.float16)
    codes, out = np.zeros((3, 5, 2, 4), np.uint8), np.zeros((6, 15), np.float32)
    score(query, low, low, codes, out)
    with pytest.raises(ValueError, match="pass"):
        score(query, low, low, codes[0], out)
    with pytest.raises(ValueError, match="5 query heads are no multiple of 2"):
        score(query[:5], low, low, codes, out[:5])
    with pytest.raises(ValueError, match="codes is int8"):
        score(query, low, low, codes.astype(np.int8), out)
    with pytest.raises(ValueError, match="out is"):
        score(query, low, low, codes, out[:, :14])
