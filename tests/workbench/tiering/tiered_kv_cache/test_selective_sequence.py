"""Selective sequences: what is read and attended, what stays exact, and that summaries keep up."""

from __future__ import annotations

import numpy as np
import pytest

from tests.workbench.tiering.ssd_tier.store_helpers import sim_disk
from tests.workbench.tiering.tiered_kv_cache.caches import SIZE, cache_on, config
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.tiered_kv_cache import (
    Budgets,
    Important,
    KeySummaries,
    Recent,
    SelectiveSequence,
    TieredKVCache,
)

LAYERS = 3
GEOMETRY = KVGeometry(LAYERS, 2, 8, "float16")
QUERY = np.ones((1, 4, 8), np.float32)


def step(sequence, n_tokens, seed=0):
    """Pass tokens through all layers; return each layer's tokens that were attended."""
    rng = np.random.default_rng(seed)
    k, v = rng.standard_normal((2, LAYERS, n_tokens, 2, 8), dtype=np.float32)
    sequence.extend([seed] * n_tokens)
    attended = []
    for layer in range(LAYERS):
        sequence.store(layer, k[layer], v[layer])
        attended.append(sum(run.n_tokens for run in sequence.runs(layer)))
    return attended


@pytest.fixture
def cold():
    """Yield a cache and a sequence of 15 blocks of which most are cold."""
    settings = config(6, geometry=GEOMETRY, frame_layers=1)
    with cache_on(sim_disk(), settings) as (cache, _), cache.sequence() as sequence:
        for number in range(15):
            step(sequence, SIZE, number)
        assert cache.drain()
        yield cache, sequence


def test_one_token_attends_to_what_is_hot_and_what_was_chosen(cold):
    cache, sequence = cold
    selective = SelectiveSequence(sequence, Recent(Budgets([0.5, 0, 1])), lambda: QUERY)
    # Bytes would not do: frames that the fixture's last step foresaw may arrive meanwhile.
    before = cache.stats().cold_frames_read
    attended = step(selective, 1, 99)
    n_cold = len(sequence.cold_blocks())
    assert n_cold > 8
    hot = 61 - n_cold * SIZE
    assert attended == [hot + n_cold // 2 * SIZE, hot, 61]
    assert (selective.blocks_passable, selective.blocks_chosen) == (
        3 * n_cold,
        n_cold + n_cold // 2,
    )
    assert cache.stats().cold_frames_read - before == selective.blocks_chosen


def test_what_is_hot_may_be_passed_over_too_and_no_layer_stands_for_all(cold):
    _, sequence = cold
    with sequence.fork() as other:
        blocks = np.arange(1, 14)
        rule = Recent(Budgets([1, 0, 0]))
        selective = SelectiveSequence(other, rule, lambda: QUERY, passable=lambda: blocks)
        assert step(selective, 1, 99) == [61, 61 - 13 * SIZE, 61 - 13 * SIZE]


def test_the_first_run_never_holds_everything():
    with TieredKVCache(config(20, geometry=GEOMETRY)) as cache, cache.sequence() as sequence:
        step(sequence, 30)
        rule = Recent(Budgets([1, 1, 1]))
        one = SelectiveSequence(sequence, rule, lambda: QUERY, passable=lambda: np.arange(3))
        one.extend([1])
        for layer in range(LAYERS):
            one.store(layer, QUERY[:, :2].copy(), QUERY[:, :2].copy())
            assert [run.n_tokens for run in one.runs(layer)] == [SIZE, 31 - SIZE]


def test_several_tokens_attend_to_everything(cold):
    _, sequence = cold
    selective = SelectiveSequence(sequence, Recent(Budgets([0] * 3)), lambda: QUERY)
    assert step(selective, 2, 99) == [62] * 3
    assert selective.blocks_passable == 0


def test_without_an_ssd_tier_nothing_is_left_out():
    with TieredKVCache(config(20, geometry=GEOMETRY)) as cache, cache.sequence() as sequence:
        selective = SelectiveSequence(sequence, Recent(Budgets([0] * 3)), lambda: QUERY)
        step(selective, 30)
        assert step(selective, 1, 1) == [31] * 3


def test_summaries_of_tokens_from_before_are_read_once_and_then_kept_up(cold):
    cache, sequence = cold
    summaries = KeySummaries(cache.layout)
    rule = Important(summaries, Budgets.uniform(0.5, LAYERS))
    selective = SelectiveSequence(sequence, rule, lambda: QUERY, summaries)
    step(selective, 1, 99)
    before = cache.stats().cold_frames_read
    step(selective, 1, 100)
    n_cold = len(sequence.cold_blocks())
    assert cache.stats().cold_frames_read - before <= LAYERS * (n_cold // 2)
    assert [summaries.n_tokens(layer) for layer in range(LAYERS)] == [62] * 3
    other = KeySummaries(cache.layout)
    for layer in range(LAYERS):
        other.add(layer, sequence.gather(layer, 0, 62)[0])
        np.testing.assert_array_equal(
            other.weights(layer, QUERY[0]), summaries.weights(layer, QUERY[0])
        )


def test_truncating_cuts_both(cold):
    cache, sequence = cold
    summaries = KeySummaries(cache.layout)
    rule = Important(summaries, Budgets.uniform(0.5, LAYERS))
    selective = SelectiveSequence(sequence, rule, lambda: QUERY, summaries)
    step(selective, 1, 99)
    selective.truncate(38)
    assert selective.n_tokens == sequence.n_tokens == 38
    assert summaries.n_tokens(0) == 36
    step(selective, 1, 100)
    assert summaries.n_tokens(0) == 39
