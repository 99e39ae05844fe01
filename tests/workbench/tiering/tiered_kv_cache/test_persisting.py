"""Test that a persisted sequence is resumed bit for bit, and that nothing else gets out."""

from __future__ import annotations

import numpy as np
import pytest

from tests.workbench.tiering.ssd_tier.store_helpers import sim_disk
from tests.workbench.tiering.tiered_kv_cache.caches import (
    LAYERS,
    SIZE,
    append,
    assert_right,
    cache_on,
    config,
    values_of,
)
from workbench.tiering.async_io.faults import Fault
from workbench.tiering.tiered_kv_cache import TieredKVCache
from workbench.tiering.write_policy import Selective

IDS = list(range(30))


@pytest.mark.parametrize("n_tokens", range(0, 10))
@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_any_number_of_tokens_is_resumed_after_a_restart(n_tokens, dtype):
    disk = sim_disk()
    # A policy that writes nothing by itself.
    settings = config(dtype=dtype, write=Selective)
    with cache_on(disk, settings) as (cache, _), cache.sequence() as sequence:
        append(sequence, IDS[:n_tokens])
        assert sequence.persist()
        assert sequence.persist()
    with cache_on(disk.reopened(), settings) as (cache, _):
        load = cache.load(IDS)
        assert load.wait() == n_tokens
        assert_right(load.sequence, dtype=dtype)
        append(load.sequence, IDS[n_tokens:12])
        assert_right(load.sequence, dtype=dtype)


def test_it_survives_a_power_loss():
    disk = sim_disk()
    with cache_on(disk) as (cache, _), cache.sequence() as sequence:
        append(sequence, IDS)
        assert sequence.persist()
        image = next(disk.crash_images(np.random.default_rng(0), 1, since=disk.position))
    with cache_on(image) as (cache, _):
        assert cache.load(IDS).wait() == len(IDS)


def test_what_is_on_its_way_is_not_written_twice():
    n_blocks = -(-len(IDS) // SIZE)
    for _ in range(5):  # the writer has got on more or less by the time
        with cache_on(sim_disk()) as (cache, _), cache.sequence() as sequence:
            append(sequence, IDS)
            assert sequence.persist()
            assert cache.stats().ssd_written_bytes == n_blocks * cache.layout.block_bytes


@pytest.mark.parametrize("cut", [5, 6, 8])
def test_a_part_of_a_sealed_block_is_persisted_too(cut):
    disk = sim_disk()
    with cache_on(disk, config(4)) as (cache, _), cache.sequence() as sequence:
        append(sequence, IDS)
        sequence.truncate(cut)
        assert sequence.persist()
    with cache_on(disk) as (cache, _):
        load = cache.load([*IDS[:cut], 77, 78, 79, 80])
        assert load.wait() == cut
        assert_right(load.sequence)


def test_nothing_behind_the_last_token_gets_out():
    disk = sim_disk()
    with cache_on(disk) as (cache, _), cache.sequence() as sequence:
        append(sequence, IDS[: SIZE + 2])
        cache._core.slab.memory[sequence._blocks.place(1), -100:] = 0xEE
        other = sequence.fork(SIZE + 1)
        assert other.persist()
        secret = sequence.gather(2, SIZE + 1, SIZE + 2)[0].astype(np.float16).tobytes()
    assert len(secret) > 8
    assert all(secret not in disk.content(name) for name in disk.names())


def test_without_room_on_the_disk_or_without_one_it_says_so():
    with cache_on(sim_disk()) as (cache, faults), cache.sequence() as sequence:
        append(sequence, IDS)
        cache.drain()
        faults.add(Fault("error", "write", nth=1, times=1000))
        append(sequence, [1])
        assert not sequence.persist()
        faults.clear()
        faults.add(Fault("error", "sync", nth=1, times=1000))
        assert not sequence.persist()
    with TieredKVCache(config()) as cache, cache.sequence() as sequence:
        assert not sequence.persist()


def test_a_block_that_is_lost_cannot_be_persisted():
    with cache_on(sim_disk(), config(3)) as (cache, faults), cache.sequence() as sequence:
        append(sequence, IDS)
        sequence.truncate(6)
        assert cache.drain()
        faults.add(Fault("error", "read", nth=1))
        assert not sequence.persist()


ERRORS = {"lossless": 0.0, "int4": 0.6, "int8,int4:1-2,lossless:4": 0.6}
CODECS = ["lossless", "int8", "int8-channel", "int4", "int8+zstd", "int8,int4:1-2,lossless:4"]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("n_tokens", [3, 8, 30])
def test_a_sequence_is_resumed_through_a_codec(codec, n_tokens):
    disk = sim_disk()
    settings = config(codec=codec, write=Selective)
    with cache_on(disk, settings) as (cache, _), cache.sequence() as sequence:
        append(sequence, IDS[:n_tokens])
        assert sequence.persist()
    with cache_on(disk.reopened(), settings) as (cache, _):
        load = cache.load(IDS)
        assert load.wait() == n_tokens
        k, v = values_of(IDS[:n_tokens])
        for layer in range(LAYERS):
            for got, side in zip(load.sequence.gather(layer, 0, n_tokens), (k, v), strict=True):
                error = np.abs(got - side[:, layer]).max()
                assert error <= ERRORS.get(codec, 0.04)
        assert cache.stats().cold_frames_undecoded == 0
        assert cache.stats().ssd_read_bytes > 0


def resumed(codec):
    """Return what every layer of a persisted sequence holds once it went through a codec."""
    disk = sim_disk()
    with cache_on(disk, config(codec=codec)) as (cache, _), cache.sequence() as sequence:
        append(sequence, IDS)
        assert sequence.persist()
    with cache_on(disk.reopened(), config(codec=codec)) as (cache, _):
        load = cache.load(IDS)
        assert load.wait() == len(IDS)
        return [load.sequence.gather(layer, 0, len(IDS)) for layer in range(LAYERS)]


def test_each_layer_comes_back_as_through_its_codec_alone():
    said = ["int8", "int4", "int4", "int8", "none"]
    mixed = resumed("int8,int4:1-2,none:4")
    alone = {name: resumed(name) for name in set(said)}
    for layer, name in enumerate(said):
        for got, wanted in zip(mixed[layer], alone[name][layer], strict=True):
            np.testing.assert_array_equal(got, wanted)
    assert (alone["int4"][1][0] != alone["int8"][1][0]).any()


def test_another_codecs_blocks_are_not_found():
    disk = sim_disk()
    with cache_on(disk, config(codec="int8")) as (cache, _), cache.sequence() as sequence:
        append(sequence, IDS)
        assert sequence.persist()
    with cache_on(disk.reopened(), config()) as (cache, _):
        assert cache.load(IDS).wait() == 0


@pytest.mark.parametrize("other", ["int8,int4:2-3", "int8", "int4", "none", "int4,int8:1"])
def test_what_was_written_by_another_map_is_not_found(other):
    disk = sim_disk()
    mine = config(codec="int8,int4:1")
    with cache_on(disk, mine) as (cache, _), cache.sequence() as sequence:
        append(sequence, IDS)
        assert sequence.persist()
    with cache_on(disk.reopened(), config(codec=other)) as (cache, _):
        assert cache.load(IDS).wait() == 0
        assert cache.stats().cold_frames_undecoded == 0
    with cache_on(disk.reopened(), config(codec="int8, int4:1-1")) as (cache, _):
        assert cache.load(IDS).wait() == len(IDS)
