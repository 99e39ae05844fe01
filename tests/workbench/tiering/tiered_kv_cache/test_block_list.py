"""Test who owns which blocks, and what is copied when one of several owners writes."""

from __future__ import annotations

import pytest

from tests.workbench.tiering.ssd_tier.store_helpers import sim_disk
from tests.workbench.tiering.tiered_kv_cache.caches import cache_on, config
from workbench.tiering.async_io.faults import Fault
from workbench.tiering.tiered_kv_cache import CacheFullError, TieredKVCache
from workbench.tiering.tiered_kv_cache.block_key import ROOT
from workbench.tiering.tiered_kv_cache.block_list import BlockList, Span


@pytest.fixture
def core():
    with TieredKVCache(config(6)) as cache:
        yield cache._core
        cache.check()
        assert cache.stats().open_blocks == 0


def key(number):
    return bytes([number]) * 32


def filled(core, *numbers, more=0):
    """Return a list of sealed blocks, then open ones; each block's first byte is its number."""
    blocks = BlockList(core)
    for at, number in enumerate(numbers):
        blocks.grow(1)
        core.slab.memory[blocks.place(at), 0] = number
        with core.changed:
            blocks.seal(at, key(number))
            core.settle()
    blocks.grow(more)
    return blocks


def test_blocks_know_their_keys_and_places(core):
    blocks = filled(core, 1, 2, more=1)
    assert [blocks.key(number) for number in (-1, 0, 1)] == [ROOT, key(1), key(2)]
    assert blocks.sealed_keys() == [key(1), key(2)]
    assert blocks.place(0) == key(1)
    assert blocks.open_slots(0).tolist() == [blocks.place(2)]
    blocks.cut(0)


def test_all_hot_blocks_are_one_span(core):
    blocks = filled(core, 1, 2, more=1)
    (span,) = blocks.spans()
    assert (span.first, span.stop) == (0, 3)
    assert core.slab.memory[span.slots[:2], 0].tolist() == [1, 2]
    assert blocks.spans()[0] is span
    blocks.cut(2)
    assert blocks.spans()[0].stop == 2
    blocks.cut(0)
    assert blocks.spans() == []


def test_cold_blocks_are_spans_of_their_own():
    with cache_on(sim_disk(), config(4)) as (cache, _):
        blocks = filled(cache._core, 1, 2, 3, 4, more=1)
        with cache._core.changed:
            spans = blocks.spans()
        assert [(span.first, span.slots is None) for span in spans] == [(0, True), (2, False)]
        assert spans[0].keys == (key(1), key(2))
        blocks.cut(0)


@pytest.mark.parametrize(
    ("first", "stop", "want"), [(0, 9, "abc"), (3, 4, "b"), (4, 9, "c"), (0, 2, ""), (5, 9, "")]
)
def test_a_span_is_cut_to_a_range(first, stop, want):
    whole = Span(2, (b"a", b"b", b"c"), None)
    part = whole.cut(first, stop)
    assert b"".join(part.keys).decode() == want
    assert not want or part.first == max(first, 2)


def test_a_shared_block_is_copied_by_the_first_that_writes(core):
    blocks = filled(core, 1, more=1)
    slot = blocks.place(1)
    core.slab.memory[slot] = 42
    other = blocks.shared(2)
    other.own_last()
    assert other.place(1) != slot
    assert (core.slab.memory[other.place(1)] == 42).all()
    blocks.own_last()
    assert blocks.place(1) == slot
    blocks.cut(0)
    other.cut(0)


def test_a_sealed_block_is_copied_before_it_is_written_to(core):
    blocks = filled(core, 1)
    blocks.own_last()
    assert core.slab.memory[blocks.place(0), 0] == 1
    assert core.directory.slot(key(1)) != blocks.place(0)
    blocks.cut(0)


def test_growing_takes_all_blocks_or_none(core):
    blocks = filled(core, 1)
    with pytest.raises(CacheFullError):
        blocks.grow(6)
    assert len(blocks) == 1
    assert core.directory.open_blocks == 0
    blocks.cut(0)


def test_a_copy_that_cannot_be_had_changes_nothing():
    with cache_on(sim_disk(), config(3)) as (cache, faults):
        blocks = filled(cache._core, 1)
        others = filled(cache._core, 2, 3, 4)
        assert cache.drain()
        faults.add(Fault("error", "read", nth=1))
        with pytest.raises(LookupError):
            blocks.own_last()
        assert blocks.sealed_keys() == [key(1)]
        assert cache.stats().open_blocks == 0
        blocks.cut(0)
        others.cut(0)


def test_the_newest_blocks_of_an_open_sequence_stay_hot():
    # Five tokens are two blocks.
    with cache_on(sim_disk(), config(6, recent_tokens=5)) as (cache, _):
        blocks = filled(cache._core, 1, 2, 3)
        other = filled(cache._core, 11, 12, 13, 14, 15, 16, 17)
        claims = cache._core.directory.claims
        assert [claims.is_pinned(key(number)) for number in (1, 2, 3)] == [False, True, True]
        assert [span.keys for span in blocks.spans()] == [(key(1),), (key(2), key(3))]
        blocks.cut(2)
        assert [claims.is_pinned(key(number)) for number in (1, 2, 3)] == [True, True, False]
        blocks.cut(0)
        other.cut(0)
        assert not any(claims.is_pinned(key(number)) for number in range(20))
