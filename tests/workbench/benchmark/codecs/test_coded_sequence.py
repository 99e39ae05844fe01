"""What is attended is what the codec left of it; without one, what was stored."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.benchmark.codecs.coded_sequence import CodedSequence
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.tiered_kv_cache import BlockLayout, CacheConfig, TieredKVCache

GEOMETRY = KVGeometry(2, 2, 64, "float16")


@pytest.mark.parametrize(("codec", "most"), [("none", 0.0), ("int8", 0.03)])
def test_blocks_are_coded_before_they_are_attended(codec, most):
    layout = BlockLayout(GEOMETRY)
    rng = np.random.default_rng(0)
    k, v = rng.standard_normal((2, 128, 2, 64), np.float32).astype(np.float16).astype(np.float32)
    with (
        TieredKVCache(CacheConfig(GEOMETRY, 4 * layout.block_bytes)) as cache,
        cache.sequence() as sequence,
    ):
        coded = CodedSequence(sequence, codec, layout)
        for start in (0, 64):
            coded.extend(range(start, start + 64))
            part = slice(start, start + 64)
            for layer in range(2):
                coded.store(layer, k[part], v[part])
        assert coded.n_tokens == 128
        off = max(np.abs(sequence.gather(1, 0, 128)[side] - (k, v)[side]).max() for side in (0, 1))
        assert (off > 0) == (most > 0)
        assert off <= most
        coded.truncate(64)
        assert sum(run.n_tokens for run in coded.runs(0)) == 64
