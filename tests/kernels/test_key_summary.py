"""Key summaries: by hand, the bound they are for, NaNs, refusals."""

import numpy as np
import pytest

from kernels.key_summary import KERNEL

variants = pytest.mark.parametrize("name", KERNEL.variants)


def summary(name, keys, block_tokens):
    shape = (-(-len(keys) // block_tokens), *keys.shape[1:])
    low, high = np.zeros((2, *shape), np.float32)
    KERNEL.variants[name](low, high, keys, block_tokens)
    return low, high


@variants
def test_toy_by_hand(name):
    """Three tokens in blocks of two, one head of two channels."""
    keys = np.array([[1, -5], [3, -7], [-2, 0]], np.float32).reshape(3, 1, 2)
    low, high = summary(name, keys, 2)
    assert low.reshape(2, 2).tolist() == [[1, -7], [-2, 0]]
    assert high.reshape(2, 2).tolist() == [[3, -5], [-2, 0]]


@variants
def test_no_key_scores_above_its_blocks_bound(name):
    rng = np.random.default_rng(0)
    keys = rng.standard_normal((40, 3, 16), dtype=np.float32)
    query = rng.standard_normal((3, 16), dtype=np.float32)
    low, high = summary(name, keys, 16)
    bound = np.maximum(low * query, high * query).sum(axis=2)
    scores = (keys * query).sum(axis=2)
    for token in range(40):
        assert (scores[token] <= bound[token // 16] + 1e-5).all()


@variants
@pytest.mark.parametrize("token", [0, 1, 3])
def test_a_nan_shows_wherever_it_is(name, token):
    keys = np.ones((4, 1, 2), np.float32)
    keys[token, 0, 1] = np.nan
    low, high = summary(name, keys, 4)
    assert np.isnan([low[0, 0, 1], high[0, 0, 1]]).all()
    assert low[0, 0, 0] == high[0, 0, 0] == 1


def test_refusals_name_what_is_wrong():
    low, high, keys, block_tokens = KERNEL.make_inputs(np.random.default_rng(0), 9)
    run = KERNEL.variants["njit"]
    with pytest.raises(ValueError, match="keys is float64"):
        run(low, high, keys.astype(float), block_tokens)
    with pytest.raises(ValueError, match=r"highest is float32\[1, 2, 33\]; it must be float32\[2"):
        run(low, high[:1], keys, block_tokens)
    with pytest.raises(ValueError, match="block_tokens=0"):
        run(low, high, keys, 0)
