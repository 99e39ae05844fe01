"""The tiered KV cache: sequences' keys and values hot in memory, cold on the SSD tier.

Follows: a tier may forget, it may never lie; blocks are found again by what they hold.
Leaves out: the model (workbench/inference), codecs and encryption (the rooms beside this one).
"""

from __future__ import annotations

from workbench.tiering.closing import Closing
from workbench.tiering.tiered_kv_cache.block_key import BlockKeys
from workbench.tiering.tiered_kv_cache.config import CacheConfig
from workbench.tiering.tiered_kv_cache.core import Core
from workbench.tiering.tiered_kv_cache.directory import Directory
from workbench.tiering.tiered_kv_cache.layout import BlockLayout
from workbench.tiering.tiered_kv_cache.sequence import CachedSequence
from workbench.tiering.tiered_kv_cache.slab import HotSlab


class TieredKVCache(Closing):
    """One open cache; its sequences may be used from several threads, each by one at a time."""

    def __init__(
        self, config: CacheConfig, *, fingerprint: bytes = b"", tenant: bytes = b""
    ) -> None:
        """Take the memory.

        Parameters
        ----------
        fingerprint : bytes   of the model: architecture, weights, rope; any length
        tenant : bytes        a secret; blocks are found only by those who know it

        Raises
        ------
        UsageError   if the hot slab holds too few blocks, or the machine has not that much memory
        """
        self.layout: BlockLayout = config.layout
        keys = BlockKeys(self.layout, fingerprint=fingerprint, tenant=tenant, codec=config.codec)
        slab = HotSlab(self.layout, config.hot_bytes)
        directory = Directory(config.policy(slab.n_slots), slab.n_slots)
        self._core = Core(config, keys, slab, directory)

    def sequence(self) -> CachedSequence:
        """Return a new, empty sequence; close it when it is not needed any more."""
        return CachedSequence(self._core)

    def check(self) -> None:
        """Assert what must always hold."""
        with self._core.changed:
            self._core.directory.check()

    def close(self) -> None:
        """Let go of the memory; closing twice is harmless."""
