"""Key summaries: what they estimate beside the keys themselves, growth, cuts and refusals."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.errors import UsageError
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.tiered_kv_cache import BlockLayout, KeySummaries
from workbench.tiering.tiered_kv_cache.key_summaries import KINDS

LAYOUT = BlockLayout(KVGeometry(2, 2, 16, "float16"), block_tokens=8, frame_layers=1)


def keys_of(n_tokens, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n_tokens, 2, 16)).astype(np.float16).astype(np.float32)


def true_weights(keys, query):
    logits = np.einsum("tkc,kgc->tkg", keys, query.reshape(2, -1, 16)) / 4
    weights = np.exp(logits.reshape(len(keys), -1))
    return weights.reshape(-1, 8, len(query)).sum(axis=1) / weights.sum(axis=0)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_find_the_block_that_a_query_is_about(kind):
    keys, query = keys_of(40 * 8), keys_of(2, 1).reshape(4, 16)
    # Query heads 0 and 1 look for what lies in block 7, heads 2 and 3 in block 31.
    keys[7 * 8 + 3, 0] = 6 * query[0] / np.linalg.norm(query[0])
    keys[31 * 8, 1] = 6 * query[2] / np.linalg.norm(query[2])
    query *= 4
    summaries = KeySummaries(LAYOUT, kind)
    summaries.add(1, keys)
    weights = summaries.weights(1, query)
    np.testing.assert_allclose(weights.sum(axis=0), 1, rtol=1e-5)
    assert weights[:, 0].argmax() == 7
    assert weights[:, 2].argmax() == 31


def test_two_bits_tell_more_than_extremes():
    keys, query = keys_of(64 * 8), 2 * keys_of(2, 1).reshape(4, 16)
    true = true_weights(keys, query)
    errors = {}
    for kind in KINDS:
        summaries = KeySummaries(LAYOUT, kind)
        summaries.add(0, keys)
        errors[kind] = float(np.abs(summaries.weights(0, query) - true).sum())
    assert errors["sketch"] < errors["expected"] < errors["bounds"]


def test_tokens_may_come_in_any_pieces_and_layers_on_their_own():
    keys, query = keys_of(200), keys_of(1, 1).reshape(2, 16)
    at_once, in_pieces = KeySummaries(LAYOUT), KeySummaries(LAYOUT)
    at_once.add(0, keys)
    for start, stop in ((0, 1), (1, 8), (8, 30), (30, 30), (30, 200)):
        in_pieces.add(0, keys[start:stop])
        assert in_pieces.n_tokens(0) == stop
    assert (in_pieces.n_tokens(1), in_pieces.n_blocks) == (0, 0)
    np.testing.assert_array_equal(in_pieces.weights(0, query), at_once.weights(0, query))
    assert in_pieces.weights(0, query).shape == (25, 2)


def test_what_is_cut_can_be_added_again():
    keys, query = keys_of(50), keys_of(1, 1).reshape(2, 16)
    summaries = KeySummaries(LAYOUT)
    summaries.add(0, keys)
    other = summaries.copy()
    expected = summaries.weights(0, query)
    summaries.cut(49)
    assert summaries.n_tokens(0) == 49
    # Within a block that was full, its keys are not there any more.
    summaries.cut(44)
    assert summaries.n_tokens(0) == 40
    summaries.add(0, keys[40:])
    np.testing.assert_array_equal(summaries.weights(0, query), expected)
    np.testing.assert_array_equal(other.weights(0, query), expected)


def test_extremes_that_float16_cannot_hold_are_rounded_outwards():
    summaries = KeySummaries(LAYOUT, "bounds")
    keys = keys_of(8) + np.float32(1 / 4096 / 3)
    summaries.add(0, keys)
    layer = summaries._layers[0]
    assert (layer.lowest[0] <= keys.min(axis=0)).all()
    assert (layer.highest[0] >= keys.max(axis=0)).all()


def test_no_block_weighs_nothing():
    weights = KeySummaries(LAYOUT).weights(0, keys_of(1).reshape(2, 16))
    assert weights.shape == (0, 2)


def test_memory_is_two_extremes_and_two_bits_a_key():
    extremes = 2 * 2 * 2 * 16 * 2
    assert KeySummaries(LAYOUT, "bounds").block_bytes == extremes
    assert KeySummaries(LAYOUT, "sketch").block_bytes == extremes + 2 * 8 * 2 * 16 // 4


def test_what_cannot_be_summarised_is_refused():
    with pytest.raises(UsageError, match="'centroid'"):
        KeySummaries(LAYOUT, "centroid")
    with pytest.raises(UsageError, match="heads of 12 values"):
        KeySummaries(BlockLayout(KVGeometry(2, 2, 12, "float16")))
