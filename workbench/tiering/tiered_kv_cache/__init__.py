"""Keep sequences' keys and values: hot in memory, cold in blocks on the SSD tier, found by prefix.

`cache.py` is the door, `sequence.py` what comes out of it; `directory.py` decides what is where.
`layout.py` says where a block's values lie. `hot_tier.py` is the seed report's ring.

    cache = TieredKVCache(CacheConfig(geometry, hot_bytes), fingerprint=model_fingerprint)
    sequence = cache.sequence()
    sequence.extend(token_ids)                # places for the next tokens
    for layer in range(geometry.layers):
        sequence.store(layer, k, v)           # float32[n_new, kv_heads, head_dim]
        for run in sequence.runs(layer):      # every token so far, in the order of positions
            ...                               # LayerRun: memory, slots, places, n_tokens
    sequence.n_tokens                         # counts the new tokens now
"""

from workbench.tiering.tiered_kv_cache.cache import TieredKVCache
from workbench.tiering.tiered_kv_cache.config import CacheConfig
from workbench.tiering.tiered_kv_cache.errors import BlockLostError, CacheFullError
from workbench.tiering.tiered_kv_cache.hot_tier import HotTier, TierStats
from workbench.tiering.tiered_kv_cache.layout import BlockLayout, LayerRun
from workbench.tiering.tiered_kv_cache.sequence import CachedSequence

__all__ = [
    "BlockLayout",
    "BlockLostError",
    "CacheConfig",
    "CacheFullError",
    "CachedSequence",
    "HotTier",
    "LayerRun",
    "TierStats",
    "TieredKVCache",
]
