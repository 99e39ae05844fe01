"""Test which cold blocks are staged as they are stored, and that it changes no bit."""

from __future__ import annotations

import numpy as np
import pytest

from kernels.kv_tile import FLOAT16, STORED_INT4, STORED_INT8, STORED_ROTATED
from tests.workbench.tiering.ssd_tier.store_helpers import sim_disk
from tests.workbench.tiering.tiered_kv_cache.caches import config, ssd_on
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.tiered_kv_cache import BlockLostError, CacheConfig, TieredKVCache
from workbench.tiering.tiered_kv_cache.block_key import frame_key

GEOMETRY = KVGeometry(3, 2, 16, "float16")
SIZE, N_TOKENS = 8, 75
CODECS = {"int8": STORED_INT8, "int4": STORED_INT4, "int4-hadamard": STORED_ROTATED}
every = pytest.mark.parametrize("codec", CODECS)


def small(codec, **changes):
    """Return a cache of four hot blocks of 8 tokens, each in two frames of a page."""
    given = {"staging_bytes": 10 * 4096, "codec": codec, "write_wait_s": 5.0} | changes
    return CacheConfig(GEOMETRY, 4 * 2 * 4096, block_tokens=SIZE, frame_layers=2, **given)


def values():
    rng = np.random.default_rng(0)
    return rng.standard_normal((2, N_TOKENS, 3, 2, 16)).astype(np.float16)


class Opened:
    """A cache on a simulated disk, with a sequence most of whose blocks are cold."""

    def __init__(self, ssd, settings):
        self.cache = TieredKVCache(settings, ssd, fingerprint=b"toy")
        self.sequence = self.cache.sequence()
        self.sequence.append(range(N_TOKENS), *values())
        assert self.cache.drain()

    def gathered(self):
        return np.stack([self.sequence.gather(layer, 0, N_TOKENS) for layer in range(3)])


@pytest.fixture
def ssd():
    with ssd_on(sim_disk()) as (tier, _):
        yield tier


@every
def test_full_blocks_but_the_first_are_attended_as_stored(ssd, codec):
    opened = Opened(ssd, small(codec))
    n_cold = len(opened.sequence.cold_blocks())
    assert n_cold > 4
    for layer in range(3):
        kinds = [(len(run.slots), run.dtype) for run in opened.sequence.runs(layer)]
        assert sum(n for n, dtype in kinds if dtype == CODECS[codec]) == n_cold - 1
        assert kinds[0] == (1, FLOAT16)
        assert kinds[-1][1] == FLOAT16
    stats = opened.cache.stats()
    assert stats.staging_bytes == 10 * 4096
    assert stats.cold_frames_read >= 2 * n_cold
    assert stats.cold_frames_undecoded == 0
    opened.cache.close()


@every
def test_it_changes_no_bit(ssd, codec):
    opened = Opened(ssd, small(codec))
    got = opened.gathered()
    opened.cache.close()
    decoding = Opened(ssd, small(codec, attend_stored=False))
    assert {run.dtype for run in decoding.sequence.runs(0)} == {FLOAT16}
    np.testing.assert_array_equal(got, decoding.gathered())
    assert not np.array_equal(got[0], values()[:, :, 0].astype(np.float32))
    decoding.cache.close()


@every
def test_a_block_that_is_cut_is_decoded(ssd, codec):
    opened = Opened(ssd, small(codec))
    with opened.sequence.fork(3 * SIZE - 2) as other:
        assert [run.dtype for run in other.runs(0)] == [FLOAT16, CODECS[codec], FLOAT16]
        assert [run.n_tokens for run in other.runs(0)] == [SIZE, SIZE, SIZE - 2]
    assert [run.dtype for run in opened.sequence.runs(0, np.array([2, 3]))] == [CODECS[codec]]
    opened.cache.close()


@every
def test_a_persisted_tail_is_found_with_its_kept_rows(ssd, codec):
    with TieredKVCache(small(codec), ssd, fingerprint=b"toy") as cache, cache.sequence() as one:
        one.append(range(12), *values()[:, :12])
        assert one.persist()
    with TieredKVCache(small(codec), ssd, fingerprint=b"toy") as cache:
        fill = cache.sequence()
        fill.append(range(100, 100 + 4 * SIZE - 4), *values()[:, : 4 * SIZE - 4])
        fill.extend(range(3))
        with cache.load(range(12)) as load:
            assert load.wait() == 12
            assert len(load.sequence.cold_blocks()) > 0
            k, v = load.sequence.gather(1, 8, 12)
        if codec != "int8":
            np.testing.assert_array_equal((k, v), values()[:, 8:12, 1].astype(np.float32))
        assert cache.stats().cold_frames_undecoded == 0


@pytest.mark.parametrize("staging_bytes", [2 * 4096, 3 * 4096])
def test_too_little_memory_for_both_is_for_decoded_frames(ssd, staging_bytes):
    opened = Opened(ssd, small("int4", staging_bytes=staging_bytes))
    assert {run.dtype for run in opened.sequence.runs(1)} == {FLOAT16}
    assert opened.cache.stats().staging_bytes == staging_bytes
    opened.cache.close()


@every
def test_damaged_frames_are_lost_blocks_and_counted(ssd, codec):
    opened = Opened(ssd, small(codec))
    keys = opened.cache.block_keys(range(N_TOKENS))
    wrong = frame_key(keys[2], 1)
    attributes = opened.cache._keys.attributes
    ssd.delete(wrong)
    ssd.put(wrong, bytes(1000), attributes)
    with pytest.raises(BlockLostError, match=f"first {2 * SIZE} tokens are left"):
        list(opened.sequence.runs(2))
    assert opened.cache.stats().cold_frames_undecoded == 1
    assert not ssd.contains(wrong)
    opened.cache.close()


def test_a_cache_without_a_codec_stages_what_it_keeps(ssd):
    with TieredKVCache(config(6), ssd) as cache:
        stagings = cache._core.behind.stagings
        assert stagings.stored is None
        assert stagings.nbytes == 8 * 4096
        ((rows, numbers),) = stagings.split(np.arange(5), 3)
        assert rows is stagings.decoded
        assert numbers.tolist() == [0, 1, 2, 3, 4]
