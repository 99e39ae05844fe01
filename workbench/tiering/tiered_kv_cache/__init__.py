"""Keep sequences' keys and values: hot in memory, cold in blocks on the SSD tier, found by prefix.

`cache.py` is the door, `sequence.py` what comes out of it; `directory.py` decides what is where.
`layout.py` says where a block's values lie. `hot_tier.py` is the seed report's ring.

    cache = TieredKVCache(CacheConfig(geometry, hot_bytes), ssd, fingerprint=model_fingerprint)
    load = cache.load(prompt_ids, deadline_s=0.5)    # the longest prefix that is known
    n_known = load.wait()                            # or wait(layer), to begin with the first ones
    sequence = load.sequence                         # or cache.sequence(), which is empty
    sequence.extend(prompt_ids[n_known:])            # places for the next tokens
    for layer in range(geometry.layers):
        sequence.store(layer, k, v)                  # float32[n_new, kv_heads, head_dim]
        for run in sequence.runs(layer):             # every token so far, in order of positions
            ...                                      # LayerRun: memory, slots, places, n_tokens
    sequence.n_tokens                                # counts the new tokens now
    sequence.persist()                               # and can be resumed after a restart

`SelectiveSequence` wraps one so that single tokens read no more than a choice of its cold blocks.
"""

from workbench.tiering.tiered_kv_cache.cache import PrefixMatch, TieredKVCache
from workbench.tiering.tiered_kv_cache.config import CacheConfig
from workbench.tiering.tiered_kv_cache.directory import Directory
from workbench.tiering.tiered_kv_cache.errors import BlockLostError, CacheFullError
from workbench.tiering.tiered_kv_cache.found import Found, Tier
from workbench.tiering.tiered_kv_cache.hot_tier import HotTier, TierStats
from workbench.tiering.tiered_kv_cache.key_summaries import KeySummaries
from workbench.tiering.tiered_kv_cache.layout import BlockLayout, LayerRun
from workbench.tiering.tiered_kv_cache.load import Load
from workbench.tiering.tiered_kv_cache.selection import Budgets, Important, Recent, Selection
from workbench.tiering.tiered_kv_cache.selective_sequence import SelectiveSequence
from workbench.tiering.tiered_kv_cache.sequence import CachedSequence
from workbench.tiering.tiered_kv_cache.shared_store import Budget
from workbench.tiering.tiered_kv_cache.stats import CacheStats

__all__ = [
    "BlockLayout",
    "BlockLostError",
    "Budget",
    "Budgets",
    "CacheConfig",
    "CacheFullError",
    "CacheStats",
    "CachedSequence",
    "Directory",
    "Found",
    "HotTier",
    "Important",
    "KeySummaries",
    "LayerRun",
    "Load",
    "PrefixMatch",
    "Recent",
    "Selection",
    "SelectiveSequence",
    "Tier",
    "TierStats",
    "TieredKVCache",
]
