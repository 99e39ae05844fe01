"""The hot tier: a ring checked against a plain list, counters by hand, refusals."""

import numpy as np
import pytest

from kernels.kv_store import KERNEL
from workbench.errors import UsageError
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.tiered_kv_cache.hot_tier import HotTier, TierStats

GEOMETRY = KVGeometry(layers=2, kv_heads=3, head_dim=4)


def tokens(first: int, count: int, geometry: KVGeometry = GEOMETRY):
    """K and V whose every value tells the token, the layer, the head and the place."""
    shape = (count, geometry.layers, geometry.kv_heads, geometry.head_dim)
    k_tokens = (
        np.arange(np.prod(shape)).reshape(shape) % 24
        + 24 * (first + np.arange(count))[:, None, None, None]
    )
    return k_tokens.astype(geometry.dtype), (-k_tokens).astype(geometry.dtype)


def test_figures_by_hand():
    """Ten tokens in batches of four into a ring of six: four evicted, six left."""
    tier = HotTier(GEOMETRY, 6)
    for first, count in ((0, 4), (4, 4), (8, 2)):
        tier.store(*tokens(first, count))
    assert tier.read(3) is None
    assert tier.read(10) is None
    assert tier.read(4) is not None
    assert tier.stats() == TierStats(
        sequence_position=10,
        hot_tokens=6,
        hot_capacity_tokens=6,
        hot_hits=1,
        misses=2,
        evictions=4,
        cold_blocks=0,
        cold_hits=0,
        ssd_written_bytes=0,
        ssd_read_bytes=0,
    )
    tier.check()


@pytest.mark.parametrize("variant", KERNEL.variants)
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "float64"])
def test_ring_against_a_list(variant, dtype):
    geometry = KVGeometry(2, 3, 4, dtype)
    tier = HotTier(geometry, 5, variant=variant)
    rng = np.random.default_rng(1)
    everything: list[tuple[np.ndarray, np.ndarray]] = []
    for _ in range(12):
        k_tokens, v_tokens = tokens(len(everything), int(rng.integers(0, 9)), geometry)
        everything += zip(k_tokens, v_tokens, strict=True)
        tier.store(k_tokens, v_tokens)
        for position, (k_token, v_token) in enumerate(everything):
            got = tier.read(position)
            if position < len(everything) - 5:
                assert got is None
            else:
                assert got is not None
                np.testing.assert_array_equal(got[0], k_token)
                np.testing.assert_array_equal(got[1], v_token)
                assert got[0].dtype == dtype
        tier.check()
    stats = tier.stats()
    assert stats.sequence_position == len(everything)
    assert stats.evictions == len(everything) - 5


def test_what_was_read_does_not_change_when_its_slot_does():
    tier = HotTier(GEOMETRY, 1)
    tier.store(*tokens(0, 1))
    got = tier.read(0)
    assert got is not None
    before = got[0].copy()
    tier.store(*tokens(1, 1))
    np.testing.assert_array_equal(got[0], before)


def test_reset_forgets_all():
    tier = HotTier(GEOMETRY, 2)
    tier.store(*tokens(0, 3))
    tier.read(0)
    tier.reset()
    assert tier.stats() == TierStats(0, 0, 2, 0, 0, 0)
    assert tier.read(0) is None
    tier.check()


def test_the_byte_bound_is_hard():
    need = 10 * GEOMETRY.bytes_per_token
    tier = HotTier(GEOMETRY, 10, limit_bytes=need)
    assert tier.nbytes == need
    assert tier.slab[0].shape == GEOMETRY.slab_shape(10)
    with pytest.raises(UsageError, match=r"hot tier of 10 tokens needs .* its limit is"):
        HotTier(GEOMETRY, 10, limit_bytes=need - 1)
    with pytest.raises(UsageError, match="may be taken"):
        HotTier(GEOMETRY, 1 << 55)


def test_a_refused_store_changes_nothing():
    tier = HotTier(GEOMETRY, 4)
    k_tokens, v_tokens = tokens(0, 2)
    tier.store(k_tokens, v_tokens)
    before = tier.stats()
    with pytest.raises(ValueError, match="v_tokens is float64, the tier holds float32"):
        tier.store(k_tokens, v_tokens.astype(float))
    with pytest.raises(ValueError, match="v_tokens is uint32"):
        tier.store(k_tokens, v_tokens[:, :1].copy())
    with pytest.raises(ValueError, match="not C-contiguous"):
        tier.store(k_tokens[::-1], v_tokens)
    assert tier.stats() == before
    got = tier.read(0)
    assert got is not None
    np.testing.assert_array_equal(got[1], v_tokens[0])


def test_refusals_name_what_is_wrong():
    with pytest.raises(UsageError, match="capacity_tokens=0 must be at least 1"):
        HotTier(GEOMETRY, 0)
    with pytest.raises(UsageError, match=r"no kv_store variant 'fast'; there are python_per_head"):
        HotTier(GEOMETRY, 1, variant="fast")
    with pytest.raises(ValueError, match="position -1 is negative"):
        HotTier(GEOMETRY, 1).read(-1)


def test_check_finds_a_lost_token():
    tier = HotTier(GEOMETRY, 2)
    tier.store(*tokens(0, 5))
    tier._evictions -= 1
    with pytest.raises(AssertionError):
        tier.check()
