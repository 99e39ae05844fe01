"""One tile of keys and values folded into a batch of queries, against float64."""

import numpy as np
import pytest
from numba import njit

from kernels.attention_tile import BATCH, Queries, fold_batch, scratch_floats, tile_at
from kernels.kv_tile import TILE_TOKENS
from kernels.matvec import address_of

HEADS, TOKENS, POSITION = 6, 5, 100


@njit
def fold(queries, tile, tokens, heads):
    fold_batch(queries, 6, tile, tokens, heads, False)
    fold_batch(queries, 6, tile, tokens, heads, True)


@njit
def place(scratch, dim, position, n_keys):
    return tile_at(scratch, dim, position, n_keys)


def state_of(dim):
    """Queries that have seen nothing yet: values, peaks, sums, out."""
    values = np.random.default_rng(dim).standard_normal((TOKENS, HEADS, dim), dtype=np.float32)
    peaks = np.full((TOKENS, HEADS), -np.inf, np.float32)
    return values, peaks, np.zeros_like(peaks), np.zeros_like(values)


class Tile:
    """A tile in its scratch memory; what lies behind its last key is not a number."""

    def __init__(self, dim, n_keys, position, seed=0):
        rng = np.random.default_rng(seed)
        self.keys, self.values = rng.standard_normal((2, n_keys, dim), dtype=np.float32)
        self.scratch = np.full(scratch_floats(dim), np.nan, np.float32)
        sides = self.scratch[: 2 * TILE_TOKENS * dim].reshape(2, TILE_TOKENS, dim)
        eights = sides[0].reshape(-1, dim // 8, 8, 8)
        for key in range(n_keys):
            eights[key // 8, :, key % 8] = self.keys[key].reshape(-1, 8)
        sides[1, :n_keys] = self.values
        self.place = place(address_of(self.scratch), dim, position, n_keys)


def fold_into(state, tile, tokens=(0, TOKENS, 1), heads=(0, HEADS)):
    fold(Queries(*map(address_of, state), POSITION, TOKENS), tile.place, tokens, heads)


def expected(values, token, head, tiles, positions):
    """The peak, sum and weighted values of one query over some tiles, in float64."""
    seen = [
        (tile.keys[: max(0, POSITION + token + 1 - at)], tile.values)
        for tile, at in zip(tiles, positions, strict=True)
    ]
    keys = np.concatenate([keys for keys, _ in seen]).astype(np.float64)
    rows = np.concatenate([rows[: len(keys)] for keys, rows in seen])
    scores = keys @ values[token, head] / np.sqrt(values.shape[2])
    weights = np.exp(scores - scores.max())
    return scores.max(), weights.sum(), weights @ rows


@pytest.mark.parametrize("dim", [8, 64, 72])
def test_tiles_fold_one_after_the_other(dim):
    state = state_of(dim)
    positions = 0, 64
    tiles = [Tile(dim, n_keys, at, at) for n_keys, at in zip((64, 41), positions, strict=True)]
    for tile in tiles:
        fold_into(state, tile)
    values, peaks, sums, out = state
    for token, head in np.ndindex(TOKENS, HEADS):
        peak, total, row = expected(values, token, head, tiles, positions)
        np.testing.assert_allclose(peaks[token, head], peak, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(sums[token, head], total, rtol=1e-5)
        np.testing.assert_allclose(out[token, head], row, rtol=1e-4, atol=1e-5)


def test_a_tile_behind_a_token_leaves_it_alone():
    state = state_of(16)
    fold_into(state, Tile(16, 9, POSITION + 2))
    _, peaks, sums, out = state
    assert (peaks[:2] == -np.inf).all()
    assert not sums[:2].any()
    assert not out[:2].any()
    assert (sums[2] == 1).all()  # the tile's first key, its own peak
    assert (sums[3:] > 1).all()


def test_only_the_batch_is_folded():
    state, whole = state_of(16), state_of(16)
    tile = Tile(16, 64, 0)
    fold_into(whole, tile)
    fold_into(state, tile, (1, TOKENS, 2), (2, 4))
    chosen = np.zeros((TOKENS, HEADS), bool)
    chosen[1::2, 2:4] = True
    np.testing.assert_array_equal(state[3][chosen], whole[3][chosen])
    assert not state[3][~chosen].any()
    assert not state[2][~chosen].any()


def test_scratch_holds_a_full_batch():
    tile = place(0, 16, 0, 64)
    assert tile.scores - tile.values == tile.values - tile.keys == 4 * TILE_TOKENS * 16
    assert tile.factors + 4 * BATCH == 4 * scratch_floats(16)
