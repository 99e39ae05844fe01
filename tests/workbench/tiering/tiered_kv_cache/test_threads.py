"""Test that sequences of several threads do not meet, while all of them share memory and disk."""

from __future__ import annotations

import contextlib
import threading

import numpy as np

from tests.workbench.tiering.ssd_tier.store_helpers import sim_disk
from tests.workbench.tiering.tiered_kv_cache.caches import (
    append,
    assert_right,
    assert_right_or_lost,
    cache_on,
    config,
)
from workbench.tiering.async_io.faults import Fault
from workbench.tiering.tiered_kv_cache import BlockLostError, CacheFullError

N_THREADS, N_TURNS = 4, 12


def run_threads(work):
    errors = []

    def guarded(seed):
        try:
            work(np.random.default_rng(seed))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(seed,)) for seed in range(N_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def chat(cache, rng, check):
    """Go on with a prefix that others know too, let go of it, come back."""
    ids = rng.integers(0, 2, 8).tolist()
    for _ in range(N_TURNS):
        with cache.load(ids) as load:
            load.wait(0)
            sequence = load.sequence
            load.wait()
            # The others may take all the room, and a failing disk any block.
            with contextlib.suppress(CacheFullError, BlockLostError):
                append(sequence, ids[sequence.n_tokens :])
                append(sequence, rng.integers(0, 2, int(rng.integers(1, 9))).tolist())
            check(sequence)
            with sequence.fork(int(rng.integers(0, sequence.n_tokens + 1))) as other:
                with contextlib.suppress(CacheFullError, BlockLostError):
                    append(other, [5])
                check(other)
            ids = sequence.token_ids[:40]


def test_threads_share_one_cache():
    with cache_on(sim_disk(), config(16, staging_bytes=24 * 4096)) as (cache, _):
        run_threads(lambda rng: chat(cache, rng, assert_right))
        stats = cache.stats()
        assert stats.lookups > 100
        assert stats.sequences == 0
        assert stats.evictions > 0


def test_threads_share_a_cache_whose_disk_fails():
    with cache_on(sim_disk(), config(16, staging_bytes=24 * 4096)) as (cache, faults):
        for kind in ("error", "flip", "short", "stale"):
            faults.add(Fault(kind, chance=0.02))
        run_threads(lambda rng: chat(cache, rng, assert_right_or_lost))
