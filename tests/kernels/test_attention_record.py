"""The record of attention: refusals (values: test_equivalence.py)."""

import numpy as np
import pytest

from kernels.attention_record import KERNEL, Cache, make_cache


def test_refusals_name_what_is_wrong():
    tiles = KERNEL.variants["njit_tiles"]
    rng, cache = np.random.default_rng(0), Cache(0, 2, 24, 30)
    memory = make_cache(rng, cache, 16, 2)[:, : cache.places(16)[-1]].copy()
    queries, slots = rng.standard_normal((3, 6, 16), dtype=np.float32), np.arange(2)
    out = np.zeros_like(queries)
    with pytest.raises(ValueError, match="queries is float64"):
        tiles(queries.astype(np.float64), memory, slots, cache, out)
    with pytest.raises(ValueError, match="multiple of kv heads"):
        tiles(queries[:, :5].copy(), memory, slots, cache, out[:, :5].copy())
    with pytest.raises(ValueError, match="does not fit memory"):
        tiles(queries, memory[:, :-1].copy(), slots, cache, out)
    with pytest.raises(ValueError, match="slots reach from 0 to 2 of 2"):
        tiles(queries, memory, slots * 2, cache, out)
    stored, narrow = cache._replace(dtype=4), (queries[..., :8].copy(), out[..., :8].copy())
    with pytest.raises(ValueError, match="their size one of 16"):
        tiles(narrow[0], memory, slots, stored, narrow[1])
