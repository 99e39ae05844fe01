"""Block scores: by hand, the bound against every key, and refusals."""

from __future__ import annotations

import numpy as np
import pytest

from kernels.block_scores import BOUNDS, EXPECTED, score


def scores(query, low, high, kind):
    out = np.zeros((len(low), len(query)), np.float32)
    score(query, low, high, kind, out)
    return out


def test_one_block_by_hand():
    # Four of 16 channels differ from zero; the root of 16 is 4.
    query = np.zeros((1, 16), np.float32)
    low, high = np.zeros((2, 1, 1, 16), np.float16)
    query[0, :2] = 8, -4
    low[0, 0, :2], high[0, 0, :2] = (-1, -3), (2, 1)
    assert scores(query, low, high, BOUNDS).item() == (8 * 2 + 4 * 3) / 4
    # Means 0.5 and -1; half distances 1.5 and 2, of which a quarter of the square is the variance.
    spread = ((8 * 1.5) ** 2 + (4 * 2) ** 2) / 16 / 4 / 2
    assert scores(query, low, high, EXPECTED).item() == (8 * 0.5 + 4) / 4 + spread


def test_no_key_of_a_block_scores_higher_than_its_bound():
    rng = np.random.default_rng(3)
    keys = rng.standard_normal((5, 7, 2, 32)).astype(np.float16)
    query = rng.standard_normal((6, 32), dtype=np.float32) * 3
    bounds = scores(query, keys.min(axis=1), keys.max(axis=1), BOUNDS)
    for head in range(6):
        logits = keys[:, :, head // 3].astype(np.float32) @ query[head] / np.sqrt(32)
        assert (logits.max(axis=1) <= bounds[:, head] + 1e-5).all()


def test_what_does_not_fit_is_refused():
    query, low = np.zeros((6, 16), np.float32), np.zeros((3, 2, 16), np.float16)
    out = np.zeros((3, 6), np.float32)
    score(query, low, low, BOUNDS, out)
    with pytest.raises(ValueError, match="a multiple of 8"):
        score(query[:, :12].copy(), low[:, :, :12].copy(), low[:, :, :12].copy(), BOUNDS, out)
    with pytest.raises(ValueError, match="5 query heads over 2"):
        score(query[:5], low, low, BOUNDS, out[:, :5])
    with pytest.raises(ValueError, match="kind=2"):
        score(query, low, low, 2, out)
    with pytest.raises(ValueError, match="lowest is float32"):
        score(query, low.astype(np.float32), low, BOUNDS, out)
    with pytest.raises(ValueError, match="out is"):
        score(query, low, low, BOUNDS, out[:2])
