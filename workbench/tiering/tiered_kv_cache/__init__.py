"""Keep sequences' keys and values: the newest in memory, the rest in blocks on the SSD tier.

`hot_tier.py` is the seed report's ring; `layout.py` says where a block's values lie.
"""

from workbench.tiering.tiered_kv_cache.hot_tier import HotTier, TierStats
from workbench.tiering.tiered_kv_cache.layout import BlockLayout, LayerRun

__all__ = ["BlockLayout", "HotTier", "LayerRun", "TierStats"]
