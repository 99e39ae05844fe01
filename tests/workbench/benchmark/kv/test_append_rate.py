"""Both sides store the same tokens, and the cache has to make room for every block."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from workbench.benchmark.kv import append_rate
from workbench.benchmark.kv.append_rate import APPENDED, KERNEL, AppendPlan
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.tiered_kv_cache import TieredKVCache

GEOMETRY = KVGeometry(3, 2, 32, "float16")
PLAN = AppendPlan(batch_tokens=32, n_blocks=3, rounds=4)


def test_both_sides_store_every_token(monkeypatch):
    stats = []
    real = TieredKVCache.close

    def close(cache):
        cache.check()
        stats.append(cache.stats())
        real(cache)

    monkeypatch.setattr(TieredKVCache, "close", close)
    samples = append_rate.measure(GEOMETRY, PLAN)
    assert samples.work == dict.fromkeys((APPENDED, KERNEL), 3 * 64)
    assert all((samples.seconds[name] > 0).all() for name in (APPENDED, KERNEL))
    # A warm-up and four rounds of three blocks, no two of them alike; the slab holds four.
    (found,) = stats
    assert (found.blocks_sealed, found.blocks_duplicate) == (15, 0)
    assert found.evictions == 15 - 4


def test_the_kernel_alone_leaves_the_bytes_that_the_cache_leaves():
    rng = np.random.default_rng(0)
    k, v = rng.standard_normal((2, 32, 3, 2, 32), dtype=np.float32).astype(np.float16)
    with TieredKVCache(append_rate.config_of(GEOMETRY, PLAN)) as cache:
        append_rate.Appender(cache, PLAN, k, v).run()
        alone = append_rate.KernelAlone(cache.layout, PLAN, k, v)
        alone.run()
        ids = list(range(PLAN.n_blocks * 64))
        with cache.load(ids) as load:
            assert load.wait() == len(ids)
            (run,) = load.sequence.runs(2)
            assert (run.memory[run.slots] == alone.slab).all()


def test_other_batches_are_counted_as_they_are():
    samples = append_rate.measure(GEOMETRY, replace(PLAN, batch_tokens=64, rounds=2))
    assert samples.work[APPENDED] == 3 * 64
